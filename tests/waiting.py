"""Wait for what other processes do."""

import time

PATIENCE_SECONDS = 240


def wait_for(condition):
    """Return when `condition()` is true; fail when that takes too long."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.1)
