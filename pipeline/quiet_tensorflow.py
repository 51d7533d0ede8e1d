"""Import TensorFlow silently, with kernels that give the same results on every machine."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2
SETTINGS = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}
"""Silence its notices and turn off machine-dependent kernels; existing settings win."""


@contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Discard everything written to standard error, unless the block fails.

    TensorFlow's libraries print before their log level is read; Python cannot
    intercept that, so the file descriptor itself is redirected.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    sys.stderr.flush()
    screen = os.dup(STDERR)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), STDERR)
        try:
            yield
        except KeyboardInterrupt:
            raise  # what was written explains nothing
        except BaseException:
            sys.stderr.flush()
            aside.seek(0)
            os.write(screen, aside.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(screen, STDERR)
            os.close(screen)
