"""Wait for what other processes do."""

import time
from pathlib import Path

PATIENCE_SECONDS = 600
"""Only a failure takes this long; a busy machine may make others wait for minutes."""


def wait_for(condition, process=None, log=None):
    """Return when `condition()` is true.

    Fails when that takes too long or `process` has ended before, with the text of the file `log`.
    """
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        alive = process is None or process.poll() is None
        assert alive and time.monotonic() < end, (
            Path(log).read_text() if log else "nothing happened"
        )
        time.sleep(0.1)
