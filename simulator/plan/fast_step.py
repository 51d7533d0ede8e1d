"""One layer on the ``fast`` backend: bytes in, bytes out, an 8-bit product, compiled loops."""

from __future__ import annotations

import numpy as np

from simulator.integer import Tally
from simulator.plan import fast_kernels as kernels
from simulator.plan.fast_gemm import IntegerProduct
from simulator.plan.linear import Linear
from simulator.plan.proofs import NEVER, Staircase
from simulator.plan.window import Window
from simulator.plan.workspace import Workspace
from simulator.windows import sliding

BLOCK_BYTES = 512 << 10
FLIP = np.uint8(128)
"""Turns the byte of an int8 into ``value + 128``."""


class FastStep:
    """Computes one layer from 8-bit to 8-bit whole numbers.

    Parameters
    ----------
    linear : Linear
        Of kind "conv", "dense", or "depthwise" without pooling.
    stairs : Staircase
        Outputs within 8 bits.
    floats : (m, c)
        Of `Staircase.floats`, for the sums of *signed or unsigned* inputs.
    signed_input : bool
        Whether inputs are int8; otherwise uint8.
    input_shape, output_shape : (height, width, channels)
    """

    name = "fast"
    whole = True

    def __init__(
        self, linear: Linear, stairs: Staircase, floats, signed_input, input_shape, output_shape
    ):
        self.linear, self.signed_input = linear, signed_input
        self.input_dtype = np.dtype(np.int8 if signed_input else np.uint8)
        self.output_dtype = np.dtype(np.int8 if stairs.low < 0 else np.uint8)
        self.input_shape, self.output_shape = input_shape, output_shape
        self.window = Window(linear, input_shape)
        self.sums_shape = self.window.sums_shape
        dtype = floats[0].dtype
        self.low, self.high = dtype.type(stairs.low), stairs.high.astype(dtype)
        level = stairs.low + len(stairs.first) + 1
        self.over = np.where(stairs.over < NEVER, float(level), np.inf).astype(dtype)
        self.counted = (bool((stairs.over < NEVER).any()), bool((stairs.under > -NEVER).any()))
        self.m, self.c = floats
        if linear.kind == "depthwise":
            self.weights = linear.weights[..., 0].astype(np.int32)
        else:
            flat = linear.weights.reshape(-1, linear.weights.shape[3])
            self.product = IntegerProduct(flat)
            # Flipped bytes are 128 too large: their share of each sum is a constant.
            self.surplus = (128 * flat.sum(axis=0)).astype(np.int32) if signed_input else None

    def run(self, x: np.ndarray, work: Workspace, tally: Tally | None = None) -> np.ndarray:
        """Return the layer's output for 8-bit inputs (n, h, w, c)."""
        n = len(x)
        out = work.take((n, *self.output_shape), self.output_dtype)
        counted = self.counted if tally is not None else (False, False)
        saturated = 0
        if self.linear.kind == "dense":
            rows = x.reshape(n, -1).view(np.uint8)
            saturated = self._stairs(self._flipped(rows, work), out.reshape(n, -1), counted)
        elif self.linear.kind == "depthwise":
            row = work.scratch("row", (x.shape[3],), np.int32)
            saturated = kernels.depthwise(
                self.window.padded(x, work), self.weights, *self.linear.strides, row,
                self.m, self.c, self.low, self.high, self.over, counted, out,
            )  # fmt: skip
        else:
            saturated = self._convolve(x, out, work, counted)
        if saturated:
            tally("output", int(saturated))
        return out

    def _flipped(self, rows: np.ndarray, work: Workspace) -> np.ndarray:
        if not self.signed_input:
            return np.ascontiguousarray(rows)
        flipped = work.scratch("columns", rows.shape, np.uint8)
        return np.bitwise_xor(rows, FLIP, out=flipped)

    def _convolve(self, x, out, work: Workspace, counted) -> int:
        """Multiply blocks of columns and write their staircases."""
        (kh, kw), strides = self.linear.weights.shape[:2], self.linear.strides
        height, width = self.sums_shape
        padded = self.window.padded(x, work)
        pointwise = (kh, kw, *strides) == (1, 1, 1, 1)
        depth = kh * kw * x.shape[3]
        view = sliding(padded, (kh, kw), strides).view(np.uint8)
        images = max(1, BLOCK_BYTES // (height * width * max(depth, 1)))
        saturated = 0
        for start in range(0, len(x), images):
            part = slice(start, min(start + images, len(x)))
            count = (part.stop - part.start) * height * width
            if pointwise:
                rows = padded[part].reshape(count, depth).view(np.uint8)
                rows = self._flipped(rows, work)
            else:
                rows = work.scratch("columns", (count, depth), np.uint8)
                np.copyto(rows.reshape(view[part].shape), view[part])
                if self.signed_input:
                    np.bitwise_xor(rows, FLIP, out=rows)
            target = out[part]
            if self.linear.pool_size is not None:
                sums = self._sums(rows).reshape(part.stop - part.start, height, width, -1)
                sums = self._pool(sums, work).reshape(-1, sums.shape[3])
                saturated += self._write(sums, 1, target.reshape(-1, target.shape[3]), counted)
            else:
                saturated += self._stairs(rows, target.reshape(count, -1), counted)
        return saturated

    def _stairs(self, rows, out, counted) -> int:
        sums = self.product(rows)
        if self.surplus is not None:
            sums[:, : len(self.surplus)] -= self.surplus
        return self._write(sums, self.product.digits, out, counted)

    def _write(self, sums, digits, out, counted) -> int:
        return kernels.requantize(
            sums, digits, self.m, self.c, self.low, self.high, self.over, counted, out
        )

    def _sums(self, rows) -> np.ndarray:
        """Return accumulators int32 (positions, filters)."""
        sums = self.product(rows)
        filters = sums.shape[1] // self.product.digits
        if self.product.digits > 1:
            joined = np.empty((len(sums), filters), np.int64)
            kernels.join_digits(sums, self.product.digits, joined)
            sums = joined.astype(np.int32)
        if self.surplus is not None:
            sums -= self.surplus
        return sums

    def _pool(self, sums: np.ndarray, work: Workspace) -> np.ndarray:
        linear, pads = self.linear, self.window.pool_pads
        shape = (len(sums), *self.output_shape[:2], sums.shape[3])
        pooled = work.scratch("pooled", shape, np.int32)
        kernels.max_pool(
            sums, *linear.pool_size, *linear.pool_strides, pads[0][0], pads[1][0], pooled
        )
        return pooled
