"""Keep what native libraries print while they are loaded off the user's screen."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2


@contextmanager
def notices_hidden() -> Iterator[None]:
    """Discard what is written to the error output, unless the block fails.

    TensorFlow's libraries print before their log level can be set; Python cannot see it, so the
    file descriptor itself is turned aside.
    """
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
