"""Plans whose arrays lie beside pages that nothing may touch: a wrong access ends the process.

    python -m tests.simulator.plan.guarded fast end 5

NumPy's own allocator hides accesses beside an array or to a freed one: they change other data.
"""

from __future__ import annotations

import ctypes
import faulthandler
import mmap
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from unittest import mock

import numpy as np

from simulator import Program, product
from simulator.plan import workspace
from tests import builders
from tests.simulator.plan import cases_akida_v1, cases_akida_v2
from tests.simulator.plan.comparison import assert_same, compiled
from tests.simulator.plan.covering import Cover

SIDES = ("end", "begin")
"""Where an array touches a guarded page. At its end are up to 63 bytes that complete a line."""
PAGE = mmap.PAGESIZE
NO_ACCESS = 0
FILLED = 0xA5


def main(backend: str, side: str, count: int) -> None:
    """Compare `count` drawn layers of each class, and as many of each network, with the reference.

    Parameters
    ----------
    backend : str
        Of `comparison.BACKENDS`.
    side : {"end", "begin"}
    count : int
    """
    faulthandler.enable()
    # Products of small layers have several parts.
    product.SMALL, product.FEWEST_ROWS = 2000, 3
    compared = 0
    # Imports what the patch has to reach.
    compiled(next(programs(1))[0], backend)
    allocate = allocator(side)
    with patched(allocate):
        for program, pixels in programs(count):
            images = allocate(pixels.size, pixels.dtype, line=1).reshape(pixels.shape)
            images[...] = pixels
            assert_same(program, images, compiled(program, backend), batch_size=2)
            compared += 1
            assert not GuardedPages.changed, program
    assert GuardedPages.checked > compared
    print(f"{compared} programs on {backend}, guarded at the {side} of arrays: all equal")


def programs(count: int) -> Iterator[tuple[Program, np.ndarray]]:
    """Yield drawn layers with their neighbours, and networks; and images for each."""
    for chip in (cases_akida_v1, cases_akida_v2):
        for kind in chip.KINDS:
            cover = Cover(chip, kind)
            for _ in range(count):
                case = cover.draw()
                yield case.program, case.images
    for make in (make for makers in builders.PROGRAMS.values() for make in makers):
        for seed in range(count):
            rng = np.random.default_rng(seed)
            program = make(rng)
            yield program, builders.images(rng, program, 5)


class GuardedPages(mmap.mmap):
    """Memory of an array, of which the bytes beside it are checked when it ends.

    It must not be kept alive for the check: an access to a freed array has to end the process.
    """

    margins: tuple[slice, ...] = ()
    """Bytes that nothing may change, all `FILLED`."""
    checked = changed = 0
    """Number of ended objects, and of those with other bytes."""

    def __del__(self):
        GuardedPages.checked += 1
        GuardedPages.changed += any(set(self[margin]) - {FILLED} for margin in self.margins)


def allocator(side: str) -> Callable:
    """Return `workspace.aligned` with pages before and after the array that nothing may touch."""
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]

    def allocate(size, dtype, line=workspace.LINE):
        nbytes = size * np.dtype(dtype).itemsize
        lines = max(1, -(-nbytes // line)) * line
        pages = -(-lines // PAGE) * PAGE
        # Arrays keep their map, which ends with the last of them.
        guarded = GuardedPages(-1, pages + 2 * PAGE)
        raw = np.frombuffer(guarded, np.uint8)
        raw[PAGE : PAGE + pages] = FILLED
        for guard in (raw.ctypes.data, raw.ctypes.data + PAGE + pages):
            if protect(guard, PAGE, NO_ACCESS):
                raise OSError(ctypes.get_errno(), "mprotect failed")
        start = PAGE if side == "begin" else PAGE + pages - lines
        guarded.margins = slice(PAGE, start), slice(start + nbytes, PAGE + pages)
        return raw[start : start + nbytes].view(dtype)

    return allocate


def patched(allocate: Callable) -> ExitStack:
    """Return a context in which plans allocate their arrays by a function."""
    stack = ExitStack()
    for module in _users(workspace.aligned):
        stack.enter_context(mock.patch.object(module, "aligned", allocate))
    return stack


def _users(function: Callable) -> list:
    return [
        module
        for name, module in list(sys.modules.items())
        if name.startswith("simulator.") and getattr(module, "aligned", None) is function
    ]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
