"""The server that forks for each DVC call: calls are isolated, and end with their client."""

import os
import signal
import subprocess
import sys

import pytest

from pipeline.repro.dvc_server import AVAILABLE, DvcServer
from tests.waiting import PATIENCE_SECONDS, wait_for

pytestmark = pytest.mark.slow
needs_fork = pytest.mark.skipif(not AVAILABLE, reason="this system cannot fork")
SLEEPER = """
import os, pathlib, time
pathlib.Path("pid").write_text(str(os.getpid()))
time.sleep(6000)
"""


@pytest.fixture(scope="module")
def server():
    server = DvcServer()
    yield server
    server.stop()


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "one folder", "print(open('in.txt').read())")


def make_folder(folder, code):
    """Return a folder with one stage that runs Python code."""
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".dvc/config").write_text("[core]\n no_scm = true\n analytics = false\n")
    (folder / "stage.py").write_text(code)
    (folder / "dvc.yaml").write_text("stages: {only: {cmd: '\"$INTERPRETER\" stage.py'}}")
    return folder


def environment(**more):
    return os.environ | {"INTERPRETER": sys.executable, "PYTHONNOUSERSITE": "1"} | more


def call(server, folder, *arguments, **options):
    status = server.run(
        arguments or ("repro", "--quiet"),
        folder=folder,
        environment=environment(),
        errors=folder / "errors.log",
        **options,
    )
    return status, (folder / "errors.log").read_text()


def has_ended(pid):
    """Return True if a process has ended, including as a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_each_call_has_its_folder_its_status_and_its_errors(server, folder, tmp_path):
    (folder / "in.txt").write_text("here")
    assert call(server, folder) == (0, "")
    (folder / "in.txt").unlink()
    status, said = call(server, folder, "repro", "--quiet", "--force")
    assert status == 255 and "FileNotFoundError" in said
    other = make_folder(tmp_path / "other", "")
    watched = []
    assert call(server, other, watch=lambda: watched.append(1)) == (0, "")
    assert watched
    status, said = call(server, other, "no-such-command")
    assert status == 254 and "no-such-command" in said


def test_a_system_that_cannot_fork_runs_the_same(server, folder, monkeypatch):
    monkeypatch.setattr("pipeline.repro.dvc_server.AVAILABLE", False)
    watched = []
    status, said = call(server, folder, watch=lambda: watched.append(1))
    assert status == 255 and "FileNotFoundError" in said and watched


@needs_fork
def test_a_call_that_is_killed_has_the_status_of_its_signal(server, tmp_path):
    folder = make_folder(tmp_path / "folder", "import os; os.kill(os.getppid(), 9)")
    (folder / "dvc.yaml").write_text("stages: {only: {cmd: 'exec \"$INTERPRETER\" stage.py'}}")
    assert call(server, folder)[0] == -signal.SIGKILL
    (folder / "stage.py").write_text("")
    assert call(server, folder) == (0, "")


@needs_fork
def test_a_server_that_is_killed_is_replaced(server, folder):
    (folder / "in.txt").write_text("here")
    assert call(server, folder)[0] == 0
    server._process.kill()
    server._process.wait()
    assert call(server, folder, "repro", "--quiet", "--force") == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_client_ends_the_stage(tmp_path, kind):
    folder = make_folder(tmp_path / "folder", SLEEPER)
    code = (
        "import os, signal, sys; from pathlib import Path; "
        "from pipeline.repro.dvc_server import DvcServer; "
        # Background jobs ignore the signal, and so do their children.
        "signal.signal(signal.SIGINT, signal.default_int_handler); "
        "DvcServer().run(['repro', '--quiet'], folder=sys.argv[1], environment=dict(os.environ), "
        "errors=Path(sys.argv[1]) / 'errors.log', watch=lambda: None)"
    )
    front = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        env=environment(),
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: (folder / "pid").is_file() and (folder / "pid").read_text())
    stage = int((folder / "pid").read_text())
    front.send_signal(kind)
    front.wait(PATIENCE_SECONDS)
    wait_for(lambda: has_ended(stage))
