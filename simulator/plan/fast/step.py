"""Steps of the ``fast`` backend: each records the rows that compute its layer on a tape."""

from __future__ import annotations

import numpy as np

from simulator.plan.fast import layout
from simulator.plan.fast.factors import Factors
from simulator.plan.fast.levels import LEAST, MOST, Levels
from simulator.plan.fast.tape import Tape
from simulator.plan.fast.tensor import Layout, Tensor
from simulator.plan.linear import Linear

INT16, INT32, FLOAT32 = (np.dtype(kind) for kind in (np.int16, np.int32, np.float32))


class FastStep:
    """Step that computes a layer's levels by its staircase.

    Parameters
    ----------
    factors : Factors
        Must satisfy `simulator.plan.fast.factors.fits`.
    levels : Levels
    output : Layout
        Of the levels.

    Attributes
    ----------
    output : Layout
        The backend replaces it by one with the padding of its consumers.
    """

    gives_levels, finish = True, None

    def __init__(self, factors: Factors, levels: Levels, output: Layout):
        self.factors, self.levels, self.output = factors, levels, output
        self.path = f"fast {factors.path}"
        self.pool = factors.linear.pool_size is not None
        self.mixing = None
        if factors.linear.kind == "separable":
            self._separable()

    def _separable(self) -> None:
        linear = self.factors.linear
        pointwise = Linear(kind="conv", weights=linear.pointwise[None, None])
        shape = (*self.factors.shape, self.factors.filters)
        # Depthwise sums fit 16 bits and are not rescaled.
        low, high = -(1 << 15), (1 << 15) - 1
        self.between = Layout(shape, INT16)
        self.mixing = Factors(pointwise, shape, (low, high), self.factors.kernels)

    def record(self, tape: Tape, source: str | None) -> Tensor:
        """Record the rows for one input, a layer's name or None; return the output."""
        factors, x = self.factors, tape.inputs(self.factors, source)
        if self.mixing is not None:
            between = tape.take(self.between)
            tape.products(factors, x, between, "finish_sums_2")
            factors, x = self.mixing, between.start
        if not self.pool:
            out = tape.take(self.output)
            finish = f"finish_integers_{self.output.dtype.itemsize}"
            counted = f"{finish}_counted"
            tape.products(factors, x, out, finish, counted, **self.levels.arguments)
        else:
            wide = tape.take(Layout((*self.factors.shape, self.factors.linear.filters), INT16))
            # Saturated values are counted after pooling only.
            tape.products(factors, x, wide, "finish_integers_2", **self.levels.wide)
            out = tape.take(self.output)
            self._record_pool(tape, wide, out)
            tape.release(wide)
        if self.mixing is not None:
            tape.release(between)
        return out

    def _record_pool(self, tape: Tape, wide: Tensor, out: Tensor) -> None:
        linear, (rows, columns) = self.factors.linear, self.factors.window.pool_pads
        vectors = tape.kernels.vectors
        tape.add(
            f"max_pool_{out.layout.dtype.itemsize}",
            x=wide.address, **_steps(wide, "image_step", "row_step", "column_step"),
            out=out.address, **_steps(out, "out_image_step", "out_row_step", "out_column_step"),
            images=tape.images, height=out.layout.shape[0], width=out.layout.shape[1],
            runs=wide.layout.shape[0], steps=wide.layout.shape[1], filters=linear.filters,
            pool_height=linear.pool_size[0], pool_width=linear.pool_size[1],
            pool_row_step=linear.pool_strides[0], pool_column_step=linear.pool_strides[1],
            top=rows[0], left=columns[0],
            low=self.levels.arguments["low"], high=self.levels.high,
            over=layout.padded(np.full(linear.filters, -1, np.int32), vectors),
        )  # fmt: skip


class FastSums:
    """Step that computes the sums of a layer in int32.

    Parameters
    ----------
    factors : Factors
        Of kind "conv" or "dense"; must satisfy `simulator.plan.fast.factors.fits`.
    finish : function (int64 sums, tally) -> array, or None
        Computes the layer's output from the sums; None if the sums are the output.
    bias : int64 (filters,) or None
        Added to the sums, which must not exceed 31 bits.
    """

    gives_levels = False

    def __init__(self, factors: Factors, finish, bias=None):
        self.factors, self.finish = factors, finish
        self.path = f"sums {factors.path}"
        if bias is not None:
            factors.initial = factors.initial + bias
        linear = factors.linear
        self.output = Layout((*factors.shape, linear.filters), INT32)

    def record(self, tape: Tape, source: str | None) -> Tensor:
        """Record the rows for one input; return the sums."""
        x, out = tape.inputs(self.factors, source), tape.take(self.output)
        tape.products(self.factors, x, out, "finish_sums_4")
        return out


class FastPooledSums:
    """Step that computes one layer up to its global sum in integers.

    Parameters
    ----------
    factors : Factors
        As in `FastSums`.
    pool : simulator.plan.global_pool.GlobalSum
        Totals must be below 2**31 in magnitude.
    levels : Levels or None
        Staircase of the totals; None leaves them to `pool.finish`.
    output : Layout
        Of the levels.
    """

    path = "sums pooled"

    def __init__(self, factors: Factors, pool, levels: Levels | None, output: Layout):
        self.factors, self.pool, self.levels = factors, pool, levels
        factors.initial = factors.initial + pool.bias
        vectors, filters = factors.kernels.vectors, factors.linear.filters
        self.bounds = {
            name: layout.padded(_bounds(bound, otherwise, filters), vectors)
            for name, bound, otherwise in (("low", pool.low, LEAST), ("high", pool.high, MOST))
        }
        self.gives_levels = levels is not None
        self.finish = None if self.gives_levels else pool.finish
        self.output, self.filters = output, filters
        self.width = len(self.bounds["low"])

    def record(self, tape: Tape, source: str | None) -> Tensor:
        """Record the rows for one input; return the levels, or the totals."""
        x, totals = tape.inputs(self.factors, source), tape.take(Layout((1, 1, self.width), INT32))
        size = tape.images * totals.layout.steps[0]
        tape.add("zero", out=totals.start, width=size)
        steps = {"out_image_step": totals.layout.steps[0], "out_row_step": 0, "out_column_step": 0}
        tape.products(self.factors, x, totals, "finish_totals", **self.bounds, **steps)
        if self.levels is None:
            totals.array = totals.array[..., : self.filters]
            return totals
        out = tape.take(self.output)
        name = f"finish_integers_{out.layout.dtype.itemsize}"
        tape.add(
            "finish_rows", x=totals.start, image_step=totals.layout.steps[0], out=out.address,
            out_image_step=out.layout.steps[0], images=tape.images, filters=self.filters,
            scratch=tape.memory("tables", 8 * tape.images), finish=tape.kernels.address(name),
            count_finish=tape.kernels.address(name), **self.levels.arguments,
        )  # fmt: skip
        tape.count_by(lambda tally: self.pool.finish(_integers(totals, self.filters), tally))
        tape.release(totals)
        return out


class FastScale:
    """Step that multiplies integers by a scale for each channel, in float32.

    Parameters
    ----------
    scales : float32 (channels,)
    shape : (height, width, channels)
    """

    path, gives_levels, finish = "fast float32", False, None

    def __init__(self, scales: np.ndarray, shape):
        self.scales, self.output = np.ascontiguousarray(scales), Layout(tuple(shape), FLOAT32)

    def record(self, tape: Tape, source: str | None) -> Tensor | None:
        """Record the row for one input; None if the input is not in a tensor."""
        found = tape.tensors.get(source)
        if found is None or found.layout.dtype.name not in ("uint8", "int8", "int16", "int32"):
            return None
        out = tape.take(self.output)
        height, width, channels = found.array.shape[1:]
        tape.add(
            f"scale_{found.layout.dtype.name}", x=found.address, images=tape.images,
            height=height, width=width, filters=channels, out=out.start, scale=self.scales,
            **_steps(found, "image_step", "row_step", "column_step"),
        )  # fmt: skip
        return out


def _integers(totals: Tensor, filters: int) -> np.ndarray:
    return totals.array[..., :filters].astype(np.int64)


def _steps(tensor: Tensor, *names: str) -> dict:
    return dict(zip(names, tensor.layout.steps, strict=True))


def _bounds(bound, otherwise, filters: int) -> np.ndarray:
    return np.broadcast_to(otherwise if bound is None else bound, filters).astype(np.int32)
