"""How stages end, and what they do not print."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import DataError, IncompatibleModelError
from pipeline.files import write_text
from pipeline.quiet_tensorflow import quiet_tensorflow
from pipeline.stage import run
from simulator.archive import ArchiveError
from simulator.atomic_file import finished_files
from simulator.errors import ProgramError
from simulator.refusal import Refusal

ROOT = Path(__file__).parents[2]
HALT = """
import os, signal, sys

class Halt:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["HALT"]:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Halt())
"""


@pytest.mark.parametrize(
    ("imported", "module", "status"),
    [
        ("pipeline.config", "stages.compose", -signal.SIGINT),
        ("numpy._core.multiarray", "stages.track", -signal.SIGINT),
        ("pipeline.config", "pipeline", -signal.SIGINT),
        ("dvc.cli", "pipeline.repro.run_dvc", -signal.SIGINT),
        ("pipeline.config.compose", "stages.compose", 130),  # the stage runs
        ("numpy._core.multiarray", "simulator", -signal.SIGINT),
        ("numpy._core.multiarray", "crossgrade", -signal.SIGINT),
        ("click", "crossgrade", -signal.SIGINT),
        ("pipeline.cli.options", "crossgrade", 130),  # the command runs
    ],
)
def test_ctrl_c_while_modules_are_imported_gives_no_traceback(tmp_path, imported, module, status):
    (tmp_path / "sitecustomize.py").write_text(HALT)
    script = tmp_path / "crossgrade"
    script.write_text("from pipeline.cli import main\nmain()\n")
    words = [str(script), "check", "m.h5"] if module == script.name else ["-m", module, "--version"]
    code = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        f"os.execv(sys.executable, [sys.executable, *{words}])"
    )
    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    found = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": path, "HALT": imported},
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert found.returncode == status, found.stderr
    before = "\n" if module == script.name else "compose: "  # click ends the line that has ^C
    assert found.stderr == (f"{before}interrupted; nothing was written\n" if status == 130 else "")


def fail(error):
    raise error


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (DataError("x: wrong"), 1, "stage: x: wrong\n"),
        (ProgramError("p: wrong"), 1, "stage: p: wrong\n"),
        (ArchiveError("a: wrong"), 1, "stage: a: wrong\n"),
        (FileNotFoundError(2, "No such file", "f"), 1, "stage: f: No such file\n"),
        (
            IncompatibleModelError("m", [Refusal(found="a"), Refusal(found="b")], "convert"),
            1,
            "stage: m: cannot convert, 2 reasons:\n  - a\n  - b\n",
        ),
        (KeyboardInterrupt(), 130, "stage: interrupted; nothing was written\n"),
    ],
)
def test_refusals(capsys, error, status, message):
    with pytest.raises(SystemExit) as stop:
        run("stage", lambda: fail(error))
    assert stop.value.code == status
    assert capsys.readouterr().err == message


def test_an_interrupted_stage_names_the_files_that_it_finished(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = Path("scratch")
    folder.mkdir()

    def interrupted():
        for name in "abcd":
            write_text(f"{name}.txt", name)
        write_text(folder / "model.h5", "accepted later")
        (folder / "model.h5").unlink()  # as files that are renamed once they are read back
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stop:
        run("stage", interrupted)
    assert stop.value.code == 130
    assert capsys.readouterr().err == (
        "stage: interrupted; complete: a.txt, b.txt, c.txt and 1 more; nothing else was written\n"
    )


@pytest.mark.parametrize("moment", ["open", "chmod"])
def test_an_interrupt_at_any_moment_of_writing_leaves_nothing(tmp_path, moment, monkeypatch):
    real = getattr(Path, moment)

    def interrupted(self, *arguments):
        if made := real(self, *arguments):
            made.close()
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, moment, interrupted)
    with finished_files() as finished, pytest.raises(KeyboardInterrupt):
        write_text(tmp_path / "a.txt", "a")
    assert not list(tmp_path.iterdir()) and not finished


def test_a_bug_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run("stage", lambda: fail(ZeroDivisionError()))


def test_success_prints_nothing(capsys):
    run("stage", lambda: logging.getLogger(__name__).debug("detail"))
    assert capsys.readouterr() == ("", "")


def test_native_notices_are_hidden_unless_something_fails(capfd):
    with quiet_tensorflow():
        os.write(2, b"notice\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"
    with pytest.raises(ImportError), quiet_tensorflow():
        os.write(2, b"reason\n")
        raise ImportError
    assert capfd.readouterr().err == "reason\n"


def test_an_interrupted_run_says_how_it_goes_on(tmp_path, capsys, monkeypatch):
    """Finished stages stay, so that 'nothing was written' would be wrong."""
    from pipeline import __main__ as front

    monkeypatch.setattr(front, "compose", lambda overrides: {})
    monkeypatch.setattr(front, "check", lambda values: None)
    monkeypatch.setattr(front, "check_cache", lambda root: None)
    monkeypatch.setattr(front, "prepare_without_git", lambda root: False)
    monkeypatch.setattr(front, "reproduce", lambda root: fail(KeyboardInterrupt()))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        run("pipeline", lambda: front.single([]))
    assert stop.value.code == 130
    error = capsys.readouterr().err
    assert error == f"pipeline: interrupted; {front.GOES_ON}\n"
