"""How stages end, and what they do not print."""

import logging
import os
import subprocess
import sys

import pytest

from pipeline.errors import DataError, IncompatibleModelError
from pipeline.quiet_tensorflow import quiet_tensorflow
from pipeline.stage import run
from simulator.archive import ArchiveError
from simulator.errors import ProgramError
from simulator.refusal import Refusal

HALTED = """
import runpy, sys

class Halt:
    def find_spec(name, path=None, target=None):
        if name == {0!r}:
            raise {1}

sys.meta_path.insert(0, Halt)
sys.argv = ["x", "--version"]
runpy.run_module({2!r}, run_name="__main__")
"""


@pytest.mark.parametrize(
    ("imported", "module"),
    [
        ("pipeline.config", "stages.compose"),
        ("pipeline.config", "stages.track"),
        ("pipeline.config", "pipeline"),
        ("dvc.cli", "pipeline.repro.run_dvc"),
    ],
)
@pytest.mark.parametrize("error", ["KeyboardInterrupt", "ValueError"])
def test_ctrl_c_while_modules_are_imported_gives_no_traceback(imported, module, error):
    code = HALTED.format(imported, error, module)
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode != 0
    assert ("Traceback" in found.stderr) == (error == "ValueError"), found.stderr
    if error == "KeyboardInterrupt":
        assert found.stderr == ""


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
