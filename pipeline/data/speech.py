"""Speech from the synthesizer eSpeak NG, which is offline and deterministic."""

from __future__ import annotations

import io
import shutil
import subprocess
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.data.debian import unpack_packages, with_missing
from pipeline.errors import DataError

PACKAGE = "espeak-ng"
ADVICE = "install the Debian package espeak-ng, or choose data=digits"


@dataclass(frozen=True)
class Synthesizer:
    """An eSpeak NG that runs here.

    Attributes
    ----------
    command : tuple of str
        The program, and the path of its data.
    libraries : str or None
        Colon-separated folders of its libraries, when it is not installed.
    version : str
    """

    command: tuple[str, ...]
    libraries: str | None
    version: str

    def say(self, text: str, *, voice: str, speed: int, pitch: int) -> tuple[np.ndarray, int]:
        """Return a sound in -1 to 1, float64 of shape (samples,), and its samples per second.

        Raises
        ------
        DataError
            When the program fails, with its message.
        """
        options = ("-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", text)
        raw = _run((*self.command, *options), self.libraries)
        # The header of a piped file has no valid length: read to the end.
        with wave.open(io.BytesIO(raw)) as sound:
            rate = sound.getframerate()
            samples = np.frombuffer(sound.readframes(len(raw) // 2), "<i2")
        return samples / 32768, rate


def find_synthesizer(cache: Path) -> Synthesizer:
    """Return the installed eSpeak NG, or one unpacked to `cache` without administrator rights.

    Raises
    ------
    DataError
        When there is none and apt cannot fetch it, or it does not run.
    """
    installed = shutil.which("espeak-ng")
    if installed:
        return _checked((installed,), None)
    folder = cache / "espeak-ng"
    program = folder / "usr" / "bin" / "espeak-ng"
    if not program.is_file():
        unpack_packages(with_missing(PACKAGE), folder)
    data = next(iter(sorted(folder.glob("usr/lib/*/espeak-ng-data"))), None)
    if data is None:
        raise DataError(f"{folder}: no espeak-ng-data in it; delete it and try again, or {ADVICE}")
    libraries = sorted({str(library.parent) for library in folder.glob("**/lib*.so*")})
    try:
        return _checked((str(program), f"--path={data.parent}"), ":".join(libraries))
    except DataError as error:
        raise DataError(f"{error}; what was unpacked lies in {folder}: delete it first") from error


def _checked(command, libraries) -> Synthesizer:
    text = _run((*command, "--version"), libraries).decode("utf-8", "replace")
    version = next((word for word in text.split() if word[0].isdigit()), "of unknown version")
    return Synthesizer(command, libraries, version)


def _run(command, libraries) -> bytes:
    environment = None if libraries is None else {"LD_LIBRARY_PATH": libraries}
    try:
        done = subprocess.run(command, capture_output=True, check=False, env=environment)
    except OSError as error:
        raise DataError(f"{command[0]}: cannot be run ({error.strerror}); {ADVICE}") from error
    if done.returncode or not done.stdout:
        reason = " ".join(done.stderr.decode("utf-8", "replace").split())
        reason = reason or f"exit status {done.returncode}"
        raise DataError(f"{command[0]}: does not work here ({reason}); {ADVICE}")
    return done.stdout
