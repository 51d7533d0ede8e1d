"""DVC's output as users see it: no hints that help nobody, and every error of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.repro.run_dvc import FAILED, has_remote

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
CONFIG = "[core]\n    no_scm = true\n    analytics = false\n    check_update = false\n"
REMOTE = "['remote \"shared\"']\n    url = /tmp/shared\n"
STAGE = "stages:\n  one:\n    cmd: {command}\n    deps: [given.txt]\n"
REFUSES = "sh -c 'echo one, found 3 >&2; exit 1'"


def dvc(folder, text, config=CONFIG):
    (folder / ".dvc").mkdir(exist_ok=True)
    (folder / ".dvc" / "config").write_text(config)
    (folder / "dvc.yaml").write_text(text)
    (folder / "given.txt").write_text("given")
    command = [sys.executable, "-m", "pipeline.repro.run_dvc", "repro"]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(folder)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_nobody_is_advised_to_push_nowhere(tmp_path):
    result = dvc(tmp_path, STAGE.format(command="echo made it"))
    assert result.returncode == 0, result.stderr
    assert "made it" in result.stdout and "dvc push" not in result.stdout
    assert not has_remote(tmp_path)
    result = dvc(tmp_path, STAGE.format(command="echo again"), CONFIG + REMOTE)
    assert has_remote(tmp_path) and "dvc push" in result.stdout


def test_a_stage_that_refuses_has_the_last_word(tmp_path):
    result = dvc(tmp_path, STAGE.format(command=REFUSES))
    assert result.returncode == FAILED
    assert result.stderr.splitlines()[-1] == "one, found 3"
    assert "failed to reproduce" not in result.stdout + result.stderr


def test_other_errors_of_dvc_are_shown(tmp_path):
    for wrong in (STAGE.replace("given", "none"), STAGE + "    deps: [given.txt]\n"):
        result = dvc(tmp_path, wrong.format(command="echo made it"))
        assert result.returncode not in (0, FAILED)
        assert "none.txt" in result.stderr or "is invalid" in result.stderr
