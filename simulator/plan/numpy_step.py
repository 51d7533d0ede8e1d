"""Steps in NumPy: cache-sized blocks of columns, float products, a proven staircase."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from simulator.integer import Tally
from simulator.plan.cache_size import second_level_cache
from simulator.plan.case import Case
from simulator.plan.linear import Linear
from simulator.plan.numpy_windows import windows_of
from simulator.plan.proofs import exact_dtype
from simulator.plan.window import Window
from simulator.plan.workspace import Workspace
from simulator.product import multiply
from simulator.statistics import measure

BLOCK_BYTES = second_level_cache(least=1 << 20) * 3 // 4
"""Size of a block of columns: larger ones exceed the second-level cache, smaller ones are too small
for BLAS to be efficient."""

TILE_VALUES = 8192
"""Length of NumPy's inner loops: shorter ones are mostly overhead."""

NO_PADS = ((0, 0), (0, 0))


class NumpySums:
    """Step that computes the sums of a layer in floats; `finish` computes its output from them.

    Parameters
    ----------
    case : Case
        Its max pooling is left to `finish`.
    finish : function (int64 sums, tally) -> array
        Computes the layer's output.
    more : int
        Largest magnitude that a subclass adds to a sum. Sums are floats of the smallest dtype that
        holds them exactly.
    """

    gives_levels = False
    """True if the output is integer-valued in the step's own dtype; see `Step`."""

    def __init__(self, case: Case, finish=None, more: int = 0):
        self.linear, self.input_shape, self.finish = case.linear, case.input_shape, finish
        self.input_dtype, linear = exact_dtype(case.bound + more), case.linear
        self.window = Window(linear, case.input_shape)
        self.sums_shape = self.window.sums_shape
        self._windows, self._method = None, ""
        if linear.kind == "conv":
            self._windows = windows_of(self.window, case.input_range, self.input_dtype)
            self._method = self._windows.method
        self.path = f"sums {self.input_dtype.name}{self._method}"
        self._weights = self._ordered().astype(self.input_dtype)
        if linear.pointwise is not None:
            self._pointwise = linear.pointwise.astype(self.input_dtype)
        self._pooled, self._rows = False, 1

    def _ordered(self) -> np.ndarray:
        """Return the weights in the order of the products."""
        if self.linear.kind == "conv":
            return np.ascontiguousarray(self._windows.matrix)
        if self.linear.kind == "dense":
            return self.linear.weights[0, 0]
        return _repeated(self.linear, self.sums_shape[1])

    def run(self, x: np.ndarray, work: Workspace, tally: Tally | None = None) -> np.ndarray:
        """Return the layer's output for integer-valued inputs (n, h, w, c)."""
        width, filters = self.sums_shape[1], self.linear.filters
        sums = np.empty((len(x), *self.sums_shape, filters), np.int64)
        for images, rows, part in self._parts(x, work):
            sums[images, rows] = part[:, :, :width]
        return self.finish(sums, tally)

    def _parts(self, x: np.ndarray, work: Workspace):
        """Yield (images, rows, sums) block by block."""
        if self.linear.kind == "dense":
            sums = work.scratch("sums", (len(x), self._weights.shape[1]), self.input_dtype)
            multiply(self._floats(x.reshape(len(x), -1), work), self._weights, sums)
            yield slice(0, len(x)), slice(0, 1), sums[:, None, None]
        elif self.linear.kind == "conv":
            yield from self._convolution(x, work)
        elif self.linear.kind == "depthwise":
            yield from self._depthwise(x, work)
        else:
            for images, rows, sums in self._depthwise(x, work):
                channels, filters = self._pointwise.shape
                columns = sums.reshape(-1, channels)
                mixed = work.scratch("mixed", (len(columns), filters), self.input_dtype)
                multiply(columns, self._pointwise, mixed)
                yield images, rows, mixed.reshape(*sums.shape[:3], filters)

    def _floats(self, x: np.ndarray, work: Workspace) -> np.ndarray:
        """Return values as floats, in scratch memory of `work`; `x` itself if they are."""
        if x.dtype == self.input_dtype:
            return x
        floats = work.scratch("floats", x.shape, self.input_dtype)
        np.copyto(floats, x)
        return floats

    def _padded_blocks(self, x: np.ndarray, row_bytes: int, work: Workspace):
        """Yield (images, rows, padded inputs of these images as floats) of the blocks."""
        whole, before = work.around(x), None
        for images, rows in self._blocks(len(x), row_bytes):
            if images != before:
                before = images
                if whole is not None:
                    padded = whole[images]
                else:
                    padded = self.window.padded(x[images], self.input_dtype, work)
                padded = self._floats(padded, work)
            yield images, rows, padded

    def _blocks(self, n: int, row_bytes: int):
        """Yield (images, rows) of blocks of about `BLOCK_BYTES`; with pooling, of all rows."""
        height = self.sums_shape[0]
        rows = max(1, BLOCK_BYTES // max(row_bytes, 1))
        if rows >= height or self._pooled:
            images = max(1, rows // height)
            for start in range(0, n, images):
                yield slice(start, min(start + images, n)), slice(0, height)
            return
        rows = max(1, rows // self._rows) * self._rows
        for image in range(n):
            for start in range(0, height, rows):
                yield slice(image, image + 1), slice(start, min(start + rows, height))

    def _convolution(self, x: np.ndarray, work: Workspace):
        """Yield (images, rows, sums) block by block, with the surplus sums of `PixelRows`."""
        windows, filters = self._windows, self.linear.filters
        row_bytes = 4 * max(windows.row_values, windows.width * filters)
        for images, rows, padded in self._padded_blocks(x, row_bytes, work):
            yield images, rows, windows.sums(padded, rows, self._weights, work)

    def _depthwise(self, x: np.ndarray, work: Workspace):
        """Yield (images, rows, sums), with weights repeated over a row for long inner loops."""
        width, channels = self.sums_shape[1], x.shape[3]
        row_bytes = 8 * width * channels
        for images, rows, block in self._padded_blocks(x, row_bytes, work):
            sums = work.scratch(
                "sums", (len(block), rows.stop - rows.start, width * channels), self.input_dtype
            )
            lines = self._lines(block, rows, work)
            np.einsum("nhijq,ijq->nhq", lines, self._weights, out=sums)
            yield images, rows, sums.reshape(*sums.shape[:2], width, channels)

    def _lines(self, block: np.ndarray, rows: slice, work: Workspace) -> np.ndarray:
        """Return (n, rows, kh, kw, width * c): of each tap, the inputs of a row of outputs."""
        (kh, kw), (sh, sw) = self.linear.weights.shape[:2], self.linear.strides
        block = block[:, rows.start * sh : (rows.stop - 1) * sh + kh]
        n, height, _, channels = block.shape
        width = self.sums_shape[1]
        sn, line, pixel, item = block.strides
        if sw == 1:
            tap = pixel
        else:
            # Bring the inputs of each tap together.
            shape, steps = (n, height, kw, width, channels), (sn, line, pixel, sw * pixel, item)
            view = as_strided(block, shape, steps, writeable=False)
            block = work.scratch("lines", shape, self.input_dtype)
            np.copyto(block, view)
            sn, line, tap = block.strides[:3]
        shape = (n, rows.stop - rows.start, kh, kw, width * channels)
        return as_strided(block, shape, (sn, line * sh, line, tap, item), writeable=False)


class NumpyStep(NumpySums):
    """Step that computes a layer's integer-valued output by its staircase.

    Parameters
    ----------
    case : Case
    levels : simulator.plan.numpy_levels.Levels

    Attributes
    ----------
    output_pads : ((top, bottom), (left, right))
        Zeros that the output's consumers add around each image.
    """

    gives_levels = True

    def __init__(self, case: Case, levels):
        super().__init__(case)
        self.output_shape, self.path = case.output_shape, f"numpy {levels.name}{self._method}"
        self._pooled = case.linear.pool_size is not None
        # Vectors are repeated over rows of the output, for long inner loops.
        width = self.output_shape[1]
        if self._windows is not None and not self._pooled:
            width = self._windows.width
        self._rows = _rows_of((self.output_shape[0], width, self.output_shape[2]))
        self.levels = levels.tiled(self._rows * width)
        self.output_pads = NO_PADS

    def run(self, x: np.ndarray, work: Workspace, tally: Tally | None = None) -> np.ndarray:
        """Return the output for integer-valued inputs (n, h, w, c), in memory taken from `work`."""
        out = work.take_inside((len(x), *self.output_shape), self.output_pads)
        for images, rows, sums in self._parts(x, work):
            target = out[images, rows]
            if self._pooled:
                sums, target = self._pool(sums, work), out[images]
            self.levels.write(sums, target, work, tally)
        return out

    def measure(self, output: np.ndarray, work: Workspace) -> tuple[int, int, int]:
        """Return the number of zeros, the smallest and the largest value of an output."""
        narrow = work.scratch("narrow", output.shape, self.levels.dtype_of_levels)
        np.copyto(narrow, output, casting="unsafe")
        return measure(narrow)

    def _pool(self, sums: np.ndarray, work: Workspace) -> np.ndarray:
        """Return the maximum of each window; padding never is the maximum."""
        linear = self.linear
        size, strides = linear.pool_size, linear.pool_strides
        sums = sums[:, :, : self.sums_shape[1]]
        n, height, width, filters = sums.shape
        out_height, out_width = self.output_shape[:2]
        pads = self.window.pool_pads
        if any(map(any, pads)):
            wide = np.full(
                (n, height + sum(pads[0]), width + sum(pads[1]), filters), -np.inf, np.float32
            )
            wide[:, pads[0][0] : pads[0][0] + height, pads[1][0] : pads[1][0] + width] = sums
            sums = wide
        best = work.scratch("pooled", (n, out_height, out_width, filters))
        for i in range(size[0]):
            for j in range(size[1]):
                part = sums[
                    :,
                    i : i + (out_height - 1) * strides[0] + 1 : strides[0],
                    j : j + (out_width - 1) * strides[1] + 1 : strides[1],
                ]
                if i or j:
                    np.maximum(best, part, out=best)
                else:
                    np.copyto(best, part)
        return best


def _rows_of(shape) -> int:
    """Return the number of rows, a divisor of the height, with at most about `TILE_VALUES`."""
    height, width, filters = shape
    most = max(1, TILE_VALUES // (width * filters))
    return max(rows for rows in range(1, min(most, height) + 1) if height % rows == 0)


def _repeated(linear: Linear, width: int) -> np.ndarray:
    """Return the weights of depthwise kernels, repeated over a row: (kh, kw, width * channels)."""
    kh, kw, channels, _ = linear.weights.shape
    weights = linear.weights.reshape(kh, kw, 1, channels)
    return np.broadcast_to(weights, (kh, kw, width, channels)).reshape(kh, kw, -1)
