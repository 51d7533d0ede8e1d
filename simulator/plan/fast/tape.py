"""Program recorded as a table of rows, which one native call runs.

A tape belongs to a number of images: its rows hold the addresses of their memory. Layers without
rows are computed in Python between two calls.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from simulator.plan.fast.factors import Factors
from simulator.plan.fast.kernels import Kernels
from simulator.plan.fast.moving import SOURCES
from simulator.plan.fast.row import FIELDS, INDEX, new_row
from simulator.plan.fast.tensor import NO_PADS, Layout, Tensor
from simulator.plan.workspace import Workspace, aligned


@dataclass(eq=False)
class Entry:
    """What computes a layer.

    Attributes
    ----------
    layer : Layer
    rows : range
        Its rows of the table.
    before : list of function ()
        Called before the rows.
    tensor : Tensor or None
        Output of the rows; None if Python computes the layer.
    python : bool
        True if Python computes the layer, or its output from that of the rows.
    counts : function (tally) or None
        Counts the saturated values of the layer; None if the rows do.
    """

    layer: object
    rows: range
    before: list[Callable[[], None]] = field(default_factory=list)
    tensor: Tensor | None = None
    python: bool = False
    counts: Callable | None = None


class Tape:
    """Recorded program for a number of images.

    Parameters
    ----------
    kernels : Kernels
    images : int
    input_dtype : numpy dtype
    input_shape : (height, width, channels)
        Of the program's input.

    Attributes
    ----------
    tensors : dict of str to Tensor
        Outputs by layer that are in memory of the tape.
    values : dict of str or None to array
        Outputs that Python computed in this run; None is the program's input.
    """

    def __init__(self, kernels: Kernels, images: int, input_dtype, input_shape):
        self.kernels, self.images = kernels, images
        self.input_dtype, self.input_shape = np.dtype(input_dtype), tuple(input_shape)
        self.tensors: dict[str, Tensor] = {}
        self.values: dict[str | None, np.ndarray] = {}
        self.entries: list[Entry] = []
        self._rows: list[np.ndarray] = []
        self._work = Workspace(fixed=True)
        self._kept: list = []
        self._memory: dict[str, np.ndarray] = {}
        self._input_rows: list[int] = []

    # Recording

    def begin(self, layer) -> None:
        """Begin the entry of a layer."""
        self.entries.append(Entry(layer, range(len(self._rows), len(self._rows))))

    def end(self, tensor: Tensor | None, python: bool) -> None:
        """End the entry of a layer; see `Entry`."""
        entry = self.entries[-1]
        entry.rows = range(entry.rows.start, len(self._rows))
        entry.tensor, entry.python = tensor, python
        if tensor is not None and not python:
            self.tensors[entry.layer.name] = tensor

    def close(self) -> None:
        """End the recording."""
        self.table = np.stack(self._rows) if self._rows else np.zeros((0, len(FIELDS)), np.int64)
        self.native = not any(entry.before or entry.python for entry in self.entries)
        self._where = self.table.ctypes.data

    def add(self, kernel: str, **arguments) -> None:
        """Record a row; arrays are kept."""
        self._kept.append(arguments)
        self._rows.append(new_row(kernel=self.kernels.address(kernel), **arguments))

    def count_by(self, counts: Callable) -> None:
        """Let a function of a tally count the saturated values of the layer."""
        self.entries[-1].counts = counts

    def take(self, layout: Layout) -> Tensor:
        """Return a tensor whose padding is cleared in every run."""
        memory = self._work.take((layout.size(self.images),), np.uint8)
        tensor = Tensor(layout, self.images, memory)
        if (clearing := tensor.clearing) is not None:
            self.add("clear", **clearing)
        return tensor

    def release(self, tensor: Tensor) -> None:
        """Let later tensors use the memory of one."""
        self._work.release(tensor.memory)

    def memory(self, name: str, size: int) -> np.ndarray:
        """Return memory, uint8, that a row uses while it runs."""
        found = self._memory.get(name)
        if found is None or found.size < size:
            found = self._memory[name] = aligned(size, np.uint8)
            self._kept.append(found)
        return found

    def products(self, factors: Factors, x: int, out: Tensor, finish: str, counted="", **others):
        """Record the products of windows at address `x`, whose sums a function consumes."""
        address, vectors = self.kernels.address, self.kernels.vectors
        steps = zip(
            ("out_image_step", "out_row_step", "out_column_step"), out.layout.steps, strict=True
        )
        arguments = {
            **factors.arguments, **dict(steps), "x": x, "out": out.address, "images": self.images,
            "initial": factors.start(vectors), "scratch": self.memory("tables", factors.scratch),
            "finish": address(finish), "count_finish": address(counted or finish), **others,
        }  # fmt: skip
        self.add(factors.kernel, **arguments)

    def inputs(self, factors: Factors, source: str | None) -> int:
        """Return the address of a layer's padded inputs in its own layout, copied if necessary."""
        found, wanted = self.tensors.get(source), factors.layout
        if found is not None and self._serves(found.layout, factors):
            return found.start
        memory = self.memory("padded", wanted.size(self.images))
        height, width, channels = wanted.shape
        copied = {
            "out": memory, "images": self.images, "height": height, "width": width * channels,
            "add": factors.offset, "template": factors.template(), **_margins(wanted),
        }  # fmt: skip
        size, name = wanted.dtype.itemsize, self.input_dtype.name
        if source is None and name in SOURCES:
            row = width * channels * self.input_dtype.itemsize
            self._input_rows.append(len(self._rows))
            self.add(f"copy_{name}_{size}", image_step=height * row, row_step=row, **copied)
        elif found is not None and found.layout.shape == wanted.shape:
            image, row, _ = found.layout.steps
            name = found.layout.dtype.name
            self.add(
                f"copy_{name}_{size}", x=found.address, image_step=image, row_step=row, **copied
            )
        else:
            self.entries[-1].before.append(lambda: self._fill(factors, source, memory))
        return memory.ctypes.data

    def _serves(self, found: Layout, factors: Factors) -> bool:
        """Return True if a layer can read a tensor where it is."""
        wanted = factors.layout
        if found.dtype != wanted.dtype or factors.offset:
            return False
        if factors.linear.padding_value is not None and wanted.pads != NO_PADS:
            return False
        flat = found.pads == wanted.pads == NO_PADS
        return found == wanted or (flat and found.steps[0] == wanted.steps[0])

    def _fill(self, factors: Factors, source, memory: np.ndarray) -> None:
        """Copy inputs that are not in a tensor of the same shape, in Python."""
        wanted = factors.layout
        x = self.value(source).reshape(self.images, *factors.input_shape)
        flat = memory[: self.images * wanted.steps[0]].view(wanted.dtype)
        padded = flat.reshape(self.images, *wanted.padded_shape)
        padded[:] = factors.template().reshape(wanted.padded_shape[1:])
        (top, _), (left, _) = wanted.pads
        height, width, _ = wanted.shape
        inner = padded[:, top : top + height, left : left + width]
        inner[:] = x.reshape(self.images, *wanted.shape).astype(np.int64) + factors.offset

    # Running

    def value(self, name: str | None) -> np.ndarray:
        """Return the output of a layer in this run, or the program's input."""
        found = self.tensors.get(name)
        if found is None:
            return self.values[name]
        # Accumulators are int64 for layers.
        return found.array.astype(np.int64) if found.layout.dtype == np.int32 else found.array

    def feed(self, images: np.ndarray) -> None:
        """Make an array (images, h, w, c) the program's input."""
        self.values = {None: images}
        place = images.ctypes.data
        for row in self._input_rows:
            self.table[row, INDEX["x"]] = place

    def run(self, rows: range) -> None:
        """Run some rows."""
        if len(rows):
            self.kernels.run(self.table[rows.start : rows.stop])

    def run_all(self) -> None:
        """Run all rows in one call."""
        self.kernels.run_at(self._where, len(self.table))

    def count(self, rows: range) -> int:
        """Return the values that saturated in rows since the last call."""
        counted = self.table[rows.start : rows.stop, INDEX["saturated"]]
        total = int(counted.sum())
        counted[:] = 0
        return total

    def counting(self, on: bool) -> None:
        """Count saturated values in the following runs, or do not."""
        self.table[:, INDEX["counting"]] = on


def _margins(layout: Layout) -> dict:
    """Return the padding as arguments of a copy: rows, and bytes of a row."""
    (top, bottom), (left, right) = layout.pads
    column = layout.steps[2]
    return {"top": top, "bottom": bottom, "left": left * column, "right": right * column}
