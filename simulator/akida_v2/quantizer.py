"""InputData, Quantizer and Dequantizer: conversion between inputs or outputs and integers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simulator.integer import Tally, integer_range, outside, report, saturate
from simulator.layer import Layer, Shape
from simulator.registers import check_register


@dataclass(frozen=True, eq=False, kw_only=True)
class InputData(Layer):
    """Input of integers, passed on unchanged.

    Attributes
    ----------
    input_bits : int
        Width of an input, including the sign if `input_signed`.
    input_signed : bool
    """

    input_bits: int = 8
    input_signed: bool = False

    equation: ClassVar[str] = "y = x"

    @property
    def input_range(self) -> tuple[int, int]:
        """Smallest and largest integer of `input_bits` bits."""
        return integer_range(self.input_bits, self.input_signed)

    def output_width(self, *inputs: tuple[int, bool] | None) -> tuple[int, bool]:
        """Return the width and sign of the inputs."""
        return self.input_bits, self.input_signed

    @property
    def output_shape(self) -> Shape:
        """The input's shape."""
        return self.input_shapes[0]

    def run(self, x: np.ndarray, *, tally: Tally | None = None) -> np.ndarray:
        """Return the inputs as int32."""
        return x.astype(np.int32)

    def check(self) -> Iterator[str]:
        """Check that the width is 1 to 16 bits."""
        if not 1 <= self.input_bits <= 16:
            yield f"input_bits is {self.input_bits}; allowed: 1 to 16"

    def traits(self) -> dict:
        """Return the facts of every layer, and the width and sign of the inputs."""
        bits, signed = self.input_bits, self.input_signed
        return {**super().traits(), "input_bits": bits, "signed": signed}


@dataclass(frozen=True, eq=False, kw_only=True)
class Quantizer(Layer):
    """Quantization of floats: ``saturate(rint(x * scales) + zero_points)``, half to even.

    Source: QuantizeML 1.2.5 InputQuantizer (Apache-2.0).

    Attributes
    ----------
    scales : float32 (channels,)
        Integers per unit of the input; powers of two.
    zero_points : int array (channels,) or None
        None for signed outputs.
    output_bits : int
        Output width, including the sign if `output_signed`.
    output_signed : bool
    clip_at_zero : bool
        True (the chip) clips an unsigned output at 0. False reproduces QuantizeML, whose unsigned
        container extends to ``-2**output_bits``.
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
        """Return (bits, signed) of the output; an unsigned output without clipping has a sign."""
        if self.output_signed or self.clip_at_zero:
            return self.output_bits, self.output_signed
        return self.output_bits + 1, True

    @property
    def output_shape(self) -> Shape:
        """The input's shape."""
        return self.input_shapes[0]

    @property
    def float_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Inputs quantized to the smallest and to the largest output, float64 (channels,)."""
        bound = 1 << (self.output_bits - self.output_signed)
        zero = 0 if self.zero_points is None else self.zero_points.astype(np.int64)
        low, high = (-bound if self.output_signed else 0) - zero, bound - 1 - zero
        scales = self.scales.astype(np.float64)
        return low / scales, high / scales

    def run(self, x: np.ndarray, *, tally: Tally | None = None) -> np.ndarray:
        """Return quantized inputs, int32; the tally counts saturated and negative values.

        Parameters
        ----------
        x : float32 array of shape (n, h, w, channels)
        """
        value_bits = self.output_bits - self.output_signed
        bound = float(1 << value_bits)
        # Clip floats first, one step beyond either end so that they still count as saturated:
        # large or infinite floats do not fit int64.
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
        """Check that scales are powers of two and, like zero points, one per channel."""
        channels = (self.input_shapes[0][2],)
        yield from _check_scales(self.scales, channels)
        if np.any(np.frexp(self.scales)[0] != 0.5):
            yield "scales are not all powers of two"
        yield from check_register("zero_points", self.zero_points, channels, -256, 255)
        if not 1 <= self.output_bits <= 16:
            yield f"output_bits is {self.output_bits}; allowed: 1 to 16"


@dataclass(frozen=True, eq=False, kw_only=True)
class Dequantizer(Layer):
    """Conversion of integers to floats: ``x * scales`` in float32.

    Attributes
    ----------
    scales : float32 (channels,)
        Float value of integer 1 in each channel.
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
        """Return int32 inputs (n, h, w, channels) as scaled float32."""
        return x.astype(np.float32) * self.scales

    def check(self) -> Iterator[str]:
        """Check that every channel has a positive float32 scale."""
        yield from _check_scales(self.scales, (self.input_shapes[0][2],))


def _check_scales(scales: np.ndarray, shape: tuple[int, ...]) -> Iterator[str]:
    if scales.shape != shape or scales.dtype != np.float32:
        yield f"scales is {scales.dtype} of shape {scales.shape}; needs float32 of {shape}"
    elif not (np.isfinite(scales).all() and np.all(scales > 0)):
        yield f"scales reaches {scales.min()}..{scales.max()}; needs finite numbers above zero"
