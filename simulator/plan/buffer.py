"""Buffer through which NumPy's functions take operands that are not one piece of memory.

NumPy copies operands whose rows are shorter than its buffer and not adjacent, or repeated, which
takes as long as the operation itself. Longer rows are read in place.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

BUFFER = 256
"""Values of the buffer, instead of 8192."""


@contextmanager
def short_buffers() -> Iterator[None]:
    """Let NumPy work on rows of `BUFFER` values without copying them, in this thread."""
    before = np.setbufsize(BUFFER)
    try:
        yield
    finally:
        np.setbufsize(before)
