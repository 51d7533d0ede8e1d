"""The child process that reads HDF5 files, started for the first file and reused for the next."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

CHILD = Path(__file__).with_name("hdf5_child.py")
SECONDS, BYTES_PER_SECOND = 60, 1 << 24
"""Timeout in seconds for a child that waits; one that computes ends itself by its CPU limit."""


class Reader:
    """Starts the child on demand, and again after a crash or in a forked process."""

    def __init__(self):
        self._process: subprocess.Popen | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def read(self, content: bytes, limit: int, members: Sequence[str]) -> tuple[bytes, bytes]:
        """Return the reply of `pipeline.importers.hdf5_child`: a tree as JSON, and its arrays.

        Raises
        ------
        OSError, ValueError
            If the child ended without a reply.
        """
        request = {"size": len(content), "limit": limit, "members": list(members)}
        with self._lock:
            process = self._started()
            clock = threading.Timer(SECONDS + len(content) / BYTES_PER_SECOND, process.kill)
            clock.start()
            try:
                process.stdin.write(json.dumps(request).encode() + b"\n")
                process.stdin.write(content)
                process.stdin.flush()
                sizes = [int(size) for size in process.stdout.readline().split()]
                parts = [process.stdout.read(size) for size in sizes]
                if len(parts) != 2 or [*map(len, parts)] != sizes:
                    raise ChildProcessError("the process that reads HDF5 files ended")
                return parts[0], parts[1]
            except BaseException:  # also Ctrl-C: half a reply may be left in the pipe
                self.close()
                raise
            finally:
                clock.cancel()

    def close(self) -> None:
        """End the child; the next file starts another."""
        if self._process is not None and self._owner == os.getpid():
            self._process.kill()
            self._process.communicate()
        self._process = None

    def _started(self) -> subprocess.Popen:
        if self._owner != os.getpid() or self._process is None:
            self._owner = os.getpid()
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(CHILD)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # Unneeded threads would take address space, which is limited.
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                start_new_session=True,  # only the parent handles Ctrl-C
            )
        return self._process


READER = Reader()
atexit.register(READER.close)
