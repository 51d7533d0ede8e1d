"""The borders of the integer world: InputData, Quantizer and Dequantizer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simulator.integer import Tally, outside, report, saturate, whole_range
from simulator.layer import Layer, Shape
from simulator.registers import check_register


@dataclass(frozen=True, eq=False, kw_only=True)
class InputData(Layer):
    """Integers that enter as they are.

    Attributes
    ----------
    input_bits : int
    input_signed : bool
    """

    input_bits: int = 8
    input_signed: bool = False

    equation: ClassVar[str] = "y = x"

    @property
    def input_range(self) -> tuple[int, int]:
        """What the input bits hold."""
        return whole_range(self.input_bits, self.input_signed)

    def output_width(self, *inputs: tuple[int, bool] | None) -> tuple[int, bool]:
        """Return the input bits."""
        return self.input_bits, self.input_signed

    @property
    def output_shape(self) -> Shape:
        """The input's shape."""
        return self.input_shapes[0]

    def run(self, x: np.ndarray, *, tally: Tally | None = None) -> np.ndarray:
        """Pass integers on."""
        return x.astype(np.int32)

    def check(self) -> Iterator[str]:
        """The width is one of an input type."""
        if not 1 <= self.input_bits <= 16:
            yield f"input_bits is {self.input_bits}; allowed: 1 to 16"

    def traits(self) -> dict:
        """Return width and sign of the inputs."""
        bits, signed = self.input_bits, self.input_signed
        return {**super().traits(), "input_bits": bits, "signed": signed}


@dataclass(frozen=True, eq=False, kw_only=True)
class Quantizer(Layer):
    """Floats to integers: ``saturate(rint(x * scales) + zero_points)``, halves to even.

    Attributes
    ----------
    scales : float32 (channels,)
        Powers of two.
    zero_points : integer (channels,) or None
        None for signed outputs.
    output_bits : int
    output_signed : bool
    clip_at_zero : bool
        True (the chip): an unsigned output never goes below 0. False reproduces QuantizeML, whose
        unsigned container reaches down to ``-2**output_bits``.
    """

    scales: np.ndarray
    zero_points: np.ndarray | None = None
    output_bits: int = 8
    output_signed: bool = True
    clip_at_zero: bool = True

    reads_floats: ClassVar[bool] = True
    equation: ClassVar[str] = (
        "y = sat(sat(rint(x * scales)) + zero_points) to output_bits, halves to even;"
        " max(y, 0) if clip_at_zero and unsigned"
    )

    def output_width(self, *inputs: tuple[int, bool] | None) -> tuple[int, bool]:
        """Return the output bits; unclipped unsigned outputs have a sign."""
        if self.output_signed or self.clip_at_zero:
            return self.output_bits, self.output_signed
        return self.output_bits + 1, True

    @property
    def output_shape(self) -> Shape:
        """The input's shape."""
        return self.input_shapes[0]

    @property
    def float_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Floats of the lowest and the highest output, float64 (channels,)."""
        bound = 1 << (self.output_bits - self.output_signed)
        zero = 0 if self.zero_points is None else self.zero_points.astype(np.int64)
        low, high = (-bound if self.output_signed else 0) - zero, bound - 1 - zero
        scales = self.scales.astype(np.float64)
        return low / scales, high / scales

    def run(self, x: np.ndarray, *, tally: Tally | None = None) -> np.ndarray:
        """Quantize float32 inputs; saturated and negative values are tallied."""
        value_bits = self.output_bits - self.output_signed
        bound = float(1 << value_bits)
        # Clip in float first, one step beyond either end: rint of a huge float is not an int64,
        # and may be infinite.
        with np.errstate(over="ignore"):
            rounded = np.clip(np.rint(x.astype(np.float32) * self.scales), -bound - 1, bound)
        values = rounded.astype(np.int64)
        beyond = [outside(values, value_bits)]
        values = saturate(values, value_bits)
        if self.zero_points is not None:
            values = values + self.zero_points
            beyond.append(outside(values, value_bits))
            values = saturate(values, value_bits)
        report(tally, "input", *beyond)
        if not self.output_signed:
            negative = values < 0
            report(tally, "input below zero", negative if negative.any() else None)
            if self.clip_at_zero:
                values = np.maximum(values, 0)
        return values.astype(np.int32)

    def check(self) -> Iterator[str]:
        """Scales and zero points have one value per channel."""
        channels = (self.input_shapes[0][2],)
        yield from _check_scales(self.scales, channels)
        if np.any(np.frexp(self.scales)[0] != 0.5):
            yield "scales are not all powers of two"
        yield from check_register("zero_points", self.zero_points, channels, -256, 255)
        if not 1 <= self.output_bits <= 16:
            yield f"output_bits is {self.output_bits}; allowed: 1 to 16"


@dataclass(frozen=True, eq=False, kw_only=True)
class Dequantizer(Layer):
    """Integers to floats: ``x * scales`` in float32.

    Attributes
    ----------
    scales : float32 (channels,)
        Value of one unit of each channel.
    """

    scales: np.ndarray

    gives_floats: ClassVar[bool] = True
    on_host: ClassVar[bool] = True
    equation: ClassVar[str] = "y = float32(x) * scales, float32"

    @property
    def output_shape(self) -> Shape:
        """The input's shape."""
        return self.input_shapes[0]

    def run(self, x: np.ndarray, *, tally: Tally | None = None) -> np.ndarray:
        """Multiply, float32."""
        return x.astype(np.float32) * self.scales

    def check(self) -> Iterator[str]:
        """One float32 scale per channel."""
        yield from _check_scales(self.scales, (self.input_shapes[0][2],))


def _check_scales(scales: np.ndarray, shape: tuple[int, ...]) -> Iterator[str]:
    if scales.shape != shape or scales.dtype != np.float32:
        yield f"scales is {scales.dtype} of shape {scales.shape}; needs float32 of {shape}"
    elif not (np.isfinite(scales).all() and np.all(scales > 0)):
        yield f"scales reaches {scales.min()}..{scales.max()}; needs finite numbers above zero"
