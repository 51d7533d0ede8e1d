"""Waiting for conditions that other processes fulfil."""

import time
from pathlib import Path

PATIENCE_SECONDS = 600
"""Time limit in seconds that only failures reach; on a busy machine tests may take minutes."""


def wait_for(condition, process=None, log=None):
    """Wait until `condition()` is true.

    Fails with the text of the file `log` if that takes too long, or `process` ends first.
    """
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        alive = process is None or process.poll() is None
        assert alive and time.monotonic() < end, (
            Path(log).read_text() if log else "nothing happened"
        )
        time.sleep(0.1)
