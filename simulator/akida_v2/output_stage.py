"""Output stage of Akida 2.0 layers: max pooling, activation, global average, requantization.

They are computed in this order, after the sum, as on the chip. Only the last step rounds, except
that a look-up table needs an 11-bit index.
Source: QuantizeML 1.2.5 layers (Apache-2.0).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from simulator.integer import Tally, requantize, saturate, shift_left
from simulator.kernels import global_sum, max_pool
from simulator.layer import Layer, Shape
from simulator.registers import check_register, check_window
from simulator.windows import output_length

ACTIVATIONS = ("none", "relu", "lut")
FINISH = (
    "; then max pool; relu: clip(p, 0, max_value << max_value_shift), or lut: lut_values at"
    " requantize(p, activation_scales, activation_shift, activation_bits); then the global sum of"
    " p << global_pool_shift; y = requantize(p, output_scales, output_shift, output_bits) ="
    " sat(floor(sat(p * scales) * 2**shift + 1/2))"
)
"""Arithmetic after the sum, for `Layer.equation`; stages without registers are skipped."""


@dataclass(frozen=True, eq=False, kw_only=True)
class OutputStage(Layer):
    """Layer that ends in an output stage, with the registers of that stage.

    Attributes
    ----------
    pool_size, pool_stride : pair of int or None
        Max pooling of accumulators; None for no pooling.
    pool_padding : {"same", "valid"}
    activation : {"none", "relu", "lut"}
    max_value : uint8 (channels,) or None
        Mantissa of the upper bound of a ReLU; None is unbounded.
    max_value_shift : uint8 (channels,) or None
        The bound is ``max_value << max_value_shift``, in units of the accumulator.
    activation_scales, activation_shift : uint8, int8 (channels,) or None
        Requantization to the index of the look-up table.
    activation_bits : int
        Width of that index, sign included.
    lut_values : int16 (2**activation_bits,) or None
        Table from the smallest (most negative) index to the largest.
    global_pool : bool
        True sums over height and width; `output_scales` includes the division.
    global_pool_shift : uint8 (channels,) or None
        Left shift that aligns channels before that sum.
    output_scales : uint8 or uint16 (channels,) or None
        Output mantissas; None multiplies by one.
    output_shift : int8 (channels,) or None
        Left shift if positive; right shift if negative, rounding half up. None outputs the
        accumulator.
    output_bits : int
        Output width, including the sign if `output_signed`.
    output_signed : bool
    post_op_buffer_bits : int
        Width of the scaled accumulator, without the sign.
    """

    pool_size: tuple[int, int] | None = None
    pool_stride: tuple[int, int] | None = None
    pool_padding: str = "valid"
    activation: str = "none"
    max_value: np.ndarray | None = None
    max_value_shift: np.ndarray | None = None
    activation_scales: np.ndarray | None = None
    activation_shift: np.ndarray | None = None
    activation_bits: int = 11
    lut_values: np.ndarray | None = None
    global_pool: bool = False
    global_pool_shift: np.ndarray | None = None
    output_scales: np.ndarray | None = None
    output_shift: np.ndarray | None = None
    output_bits: int = 8
    output_signed: bool = True
    post_op_buffer_bits: int = 32

    @property
    @abstractmethod
    def accumulator_shape(self) -> Shape:
        """Height, width and channels before pooling."""

    @property
    def output_shape(self) -> Shape:
        """Height, width and channels of the output."""
        return (1, 1, self.pooled_shape[2]) if self.global_pool else self.pooled_shape

    @property
    def pooled_shape(self) -> Shape:
        """Height, width and channels of the activation, after max pooling."""
        height, width, channels = self.accumulator_shape
        if self.pool_size is not None:
            height, width = (
                output_length(n, k, s, self.pool_padding)
                for n, k, s in zip((height, width), self.pool_size, self.pool_stride, strict=True)
            )
        return height, width, channels

    def values_at(self, stage: str) -> int:
        """Return the number of values per image that a stage counts; see `Layer.values_at`."""
        if stage == "accumulator":
            return math.prod(self.accumulator_shape)
        if stage in ("activation product", "activation", "pooled"):
            return math.prod(self.pooled_shape)
        return super().values_at(stage)

    def traits(self) -> dict:
        """Return shapes, pooling, activation and output width."""
        return {
            "shape": self.accumulator_shape,
            "pool": self.pool_size,
            "pool_stride": self.pool_stride,
            "pool_padding": self.pool_padding if self.pool_size is not None else None,
            "activation": self.activation,
            "average": self.pooled_shape[:2] if self.global_pool else None,
            "output_bits": self.output_bits if self.output_shift is not None else None,
        }

    def output_width(self, *inputs: tuple[int, bool] | None) -> tuple[int, bool] | None:
        """Return (bits, signed) of the output; None for accumulators.

        Without a ReLU an unsigned container of n bits holds negative values too, as in the
        reference: n + 1 bits with a sign.
        """
        if self.output_shift is None:
            return None
        if self.output_signed or self.activation == "relu":
            return self.output_bits, self.output_signed
        return self.output_bits + 1, True

    def finish(self, potentials: np.ndarray, tally: Tally | None = None) -> np.ndarray:
        """Apply the output stage to accumulators.

        Parameters
        ----------
        potentials : int64 array of shape (n, h, w, channels)
            Saturated to the accumulator's width.
        tally : function (stage, count), optional
            See `Layer.run`.

        Returns
        -------
        int32 array of shape (n, *output_shape)
            int64 accumulators if `output_shift` is None.
        """
        if self.pool_size is not None:
            potentials = max_pool(potentials, self.pool_size, self.pool_stride, self.pool_padding)
        if self.activation == "relu":
            potentials = self._relu(potentials, tally)
        elif self.activation == "lut":
            potentials = self._look_up(potentials, tally)
        if self.global_pool:
            if self.global_pool_shift is not None:
                aligned = shift_left(potentials, self.global_pool_shift)
                potentials = saturate(aligned, 32, "pooled", tally)
            return self.finish_pooled(global_sum(potentials), tally)
        return self._scale_down(potentials, tally)

    def finish_pooled(self, totals: np.ndarray, tally: Tally | None = None) -> np.ndarray:
        """Saturate and requantize global sums, int64 (n, 1, 1, channels)."""
        return self._scale_down(saturate(totals, 32, "global sum", tally), tally)

    def _scale_down(self, potentials, tally):
        if self.output_shift is None:
            return potentials
        return requantize(
            potentials,
            self.output_scales,
            self.output_shift,
            value_bits=self.output_bits - self.output_signed,
            buffer_bits=self.post_op_buffer_bits,
            tally=tally,
        )

    def _relu(self, potentials, tally):
        if self.max_value is None:
            return np.maximum(potentials, 0)
        # The reference keeps the bound in a 32-bit container, where it saturates.
        bound = saturate(shift_left(self.max_value.astype(np.int64), self.max_value_shift), 32)
        return np.clip(potentials, 0, bound)

    def _look_up(self, potentials, tally):
        if self.activation_shift is not None:
            potentials = requantize(
                potentials,
                self.activation_scales,
                self.activation_shift,
                value_bits=self.activation_bits - 1,
                buffer_bits=self.post_op_buffer_bits,
                stage="activation",
                tally=tally,
            )
        return self.lut_values[potentials + (1 << (self.activation_bits - 1))].astype(np.int64)

    def check(self) -> Iterator[str]:
        """Check that the registers of the output stage have valid shapes and ranges."""
        *size, filters = self.accumulator_shape
        channels = (filters,)
        if self.activation not in ACTIVATIONS:
            yield f"activation is '{self.activation}'; allowed: {', '.join(ACTIVATIONS)}"
        for name, low, high in (
            ("max_value", 0, 255),
            ("max_value_shift", 0, 32),
            ("activation_scales", 0, 255),
            ("activation_shift", -128, 127),
            ("global_pool_shift", 0, 32),
            ("output_scales", 0, 65535),
            ("output_shift", -128, 127),
        ):
            yield from check_register(name, getattr(self, name), channels, low, high)
        if (self.max_value is None) != (self.max_value_shift is None):
            yield "max_value and max_value_shift must be given together; found one of them"
        if (self.activation == "lut") != (self.lut_values is not None):
            yield "lut_values and activation 'lut' must be given together; found one of them"
        if (self.activation == "lut") != (self.activation_shift is not None):
            yield "activation_shift and activation 'lut' must be given together; found one of them"
        if not 1 <= self.activation_bits <= 16:
            yield f"activation_bits is {self.activation_bits}; allowed: 1 to 16"
        else:
            indices = (1 << self.activation_bits,)
            yield from check_register("lut_values", self.lut_values, indices, -32768, 32767)
        if (self.pool_size is None) != (self.pool_stride is None):
            yield "pool_size and pool_stride must be given together; found one of them"
        elif self.pool_size is not None:
            yield from check_window(
                "pooling", size, self.pool_size, self.pool_stride, self.pool_padding
            )
        if self.output_scales is not None and self.output_shift is None:
            yield "output_scales without output_shift; give both or neither"
        widest = 32 if self.output_signed else 31
        if not 1 <= self.output_bits <= widest:
            yield f"output_bits is {self.output_bits}; allowed: 1 to {widest}"
        if not 8 <= self.post_op_buffer_bits <= 32:
            yield f"post_op_buffer_bits is {self.post_op_buffer_bits}; allowed: 8 to 32"
