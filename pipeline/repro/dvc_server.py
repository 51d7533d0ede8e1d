"""A process that imports DVC once and forks for each call, so that calls start immediately.

Importing DVC takes longer than its work for one sweep point. The server is single-threaded so that
it can fork safely; a call changes nothing outside its own process.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

AVAILABLE = hasattr(os, "fork")
IMPORTED_AHEAD = (
    "dvc._debug",
    "dvc.cachemgr",
    "dvc.cli.parser",
    "dvc.data_cloud",
    "dvc.lock",
    "dvc.repo.artifacts",
    "dvc.repo.datasets",
    "dvc.repo.graph",
    "dvc.repo.index",
    "dvc.repo.open_repo",
    "dvc.repo.plots",
    "dvc.repo.reproduce",
    "dvc.repo.stage",
    "dvc.repo.trie",
    "dvc.rwlock",
    "dvc.scm",
    "dvc.stage.cache",
    "dvc.utils.strictyaml",
    "dvc_data.hashfile.db.local",
    "dvc_data.hashfile.status",
    "networkx",
    "ruamel.yaml",
)
"""Modules that ``dvc repro`` imports; one that no longer exists is skipped."""
CRASHED = 255
WATCH_SECONDS = 0.1
PATIENCE_SECONDS = 5


class DvcServer:
    """Client of the server; sends one call at a time."""

    def __init__(self):
        self._lock = threading.Lock()
        self._process: subprocess.Popen | None = None
        self._owner = os.getpid()
        atexit.register(self.stop)

    def run(
        self,
        arguments: Sequence[str],
        *,
        folder,
        environment: Mapping[str, str],
        errors,
        watch: Callable[[], None] | None = None,
    ) -> int:
        """Run ``dvc`` with `arguments` in `folder`; return its exit status.

        The call ends when this process ends, even by force.

        Parameters
        ----------
        environment : mapping
            Its complete environment.
        errors : path-like
            File for the standard error of DVC and the stages; standard output is discarded.
        watch : function, optional
            Called every tenth of a second while it runs, and once at the end.

        Returns
        -------
        int
            Negative when a signal ended it, as in `subprocess`.
        """
        call = {
            "arguments": list(arguments),
            "folder": str(folder),
            "environment": dict(environment),
            "errors": str(errors),
        }
        if not AVAILABLE:
            return _run_alone(**call, watch=watch)
        with self._lock:
            process = self._started()
            try:
                process.stdin.write(json.dumps(call).encode() + b"\n")
                process.stdin.flush()
                while watch and not select.select([process.stdout], [], [], WATCH_SECONDS)[0]:
                    watch()
                answer = process.stdout.readline()
            except BrokenPipeError:
                answer = b""
            except BaseException:
                self.stop()  # else the next call would get this one's reply
                raise
            if not answer:  # it was killed
                self.stop()
        if watch:
            watch()
        return int(answer) if answer else -signal.SIGKILL

    def stop(self) -> None:
        """Stop the server and the call that it runs."""
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        with suppress(OSError):
            process.stdin.close()
        process.stdout.close()
        process.wait()

    def _started(self) -> subprocess.Popen:
        if self._owner != os.getpid():  # forked: the server belongs to the other process
            self._process, self._owner = None, os.getpid()
        if self._process is not None and self._process.poll() is not None:  # it was killed
            self.stop()
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=Path(__file__).parents[1],
            )
        return self._process


def serve() -> None:
    """Fork for each line of input, and reply with the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the client decides what Ctrl-C ends
    for name in IMPORTED_AHEAD:
        with suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()  # else each call's garbage collection would copy the shared memory
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        ended, alive = os.pipe()  # `ended` reaches end of file when the call ends
        child = os.fork()
        if child == 0:
            os._exit(_call(**json.loads(line)))
        os.close(alive)
        ready = select.select([ended, sys.stdin], [], [])[0]
        os.close(ended)
        if sys.stdin in ready:  # the client is gone
            _end(child)
            return
        answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        answers.flush()


def _call(arguments, folder, environment, errors) -> int:
    """Run one call; this is the forked process."""
    status = CRASHED
    try:
        os.setpgid(0, 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        for stream, path, mode in (
            (0, os.devnull, os.O_RDONLY),
            (1, os.devnull, os.O_WRONLY),
            (2, errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        ):
            os.dup2(os.open(path, mode, 0o666), stream)
        from dvc.cli import main

        status = main(arguments)
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else CRASHED
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    return status & 0xFF


def _run_alone(arguments, folder, environment, errors, watch) -> int:
    """Run one call without a server, where processes cannot fork."""
    command = [sys.executable, "-m", "dvc", *arguments]
    with (
        open(errors, "wb") as file,
        subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=file
        ) as process,
    ):
        while process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(WATCH_SECONDS)
            if watch:
                watch()
    return process.returncode


def _end(child: int) -> None:
    """Stop a call and its stage, which share a process group."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(child, kind)
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            if os.waitpid(child, os.WNOHANG)[0]:
                return
            time.sleep(0.02)


if __name__ == "__main__":
    serve()
