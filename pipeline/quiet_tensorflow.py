"""Load TensorFlow without what it prints, and with results that other machines give as well."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2
SETTINGS = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}
"""Its notices at run time, and kernels whose results depend on the machine; a user's own hold."""


@contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Discard what is written to the error output, unless the block fails.

    TensorFlow's libraries print before their log level is read; Python cannot see it, so the
    file descriptor itself is turned aside.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    sys.stderr.flush()
    screen = os.dup(STDERR)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), STDERR)
        try:
            yield
        except BaseException:
            sys.stderr.flush()
            aside.seek(0)
            os.write(screen, aside.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(screen, STDERR)
            os.close(screen)
