"""Row of the table that a native call works through: one kernel and its arguments."""

from __future__ import annotations

import numpy as np

from simulator.plan.fast.code import WORD

FIELDS = (
    *("kernel", "x", "out", "images", "height", "width"),
    *("image_step", "row_step", "column_step", "out_image_step", "out_row_step", "out_column_step"),
    *("weights", "runs", "run_step", "steps", "taps", "filters", "block", "scratch", "initial"),
    *("finish", "count_finish", "scale", "offset", "low", "high", "over", "under"),
    *("counting", "saturated", "top", "bottom", "left", "right", "add", "template"),
    *("pool_height", "pool_width", "pool_row_step", "pool_column_step", "zeros"),
)
"""Names of the int64 entries of a row.

kernel : address of the kernel
x, out : addresses of the first value read and written
images, height, width : number of images, and of windows in each
image_step, row_step, column_step : bytes between the starts of windows in `x`
out_image_step, ... : bytes between outputs
weights : address; see `simulator.plan.fast.layout`
runs, run_step, steps : a window is `runs` pieces, `run_step` bytes apart, of `steps` products
taps : address of the offsets of a depthwise window's values
filters : number of output channels
block : number of windows whose values stay in the cache while all filters are computed
scratch : address of memory for two tables of windows
initial : address of int32 (filters,), from which sums start
finish, count_finish : addresses of the function that consumes sums, without and with counting
scale, offset, low, high, over, under : its arguments, see `simulator.plan.fast.finishes`
counting : 1 counts saturated values in `saturated`
top, bottom, left, right : bytes or rows of padding
add, template : number added to copied values; address of a row of padding
pool_height, ... : window and stride of max pooling
zeros : address of (zeros, smallest, largest), int64
"""
INDEX = {name: index for index, name in enumerate(FIELDS)}


class Row:
    """Row as the code of a kernel reads it.

    Parameters
    ----------
    code : simulator.plan.fast.code.Code
    address : Value
    """

    def __init__(self, code, address):
        self._code, self.address = code, address

    def __getattr__(self, name: str):
        return self._code.load(self.address + INDEX[name] * WORD)

    def take(self, *names: str) -> list:
        """Return several entries."""
        return [getattr(self, name) for name in names]

    def set(self, name: str, value) -> None:
        """Write an entry."""
        self._code.store(value, self.address + INDEX[name] * WORD)


def new_row(**entries) -> np.ndarray:
    """Return a row, int64; arrays are entered as their addresses."""
    row = np.zeros(len(FIELDS), np.int64)
    for name, value in entries.items():
        row[INDEX[name]] = value.ctypes.data if isinstance(value, np.ndarray) else value
    return row
