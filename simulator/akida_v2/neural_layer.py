"""Registers and arithmetic of all Akida 2.0 layers with weights.

Source: QuantizeML 1.2.5 layers (Apache-2.0).
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from simulator.akida_v2.output_stage import FINISH, OutputStage
from simulator.integer import Tally, for_each, outside, report, saturate, shift_left
from simulator.registers import check_register, check_weights

CONSTANT = ("bias", "output product")
"""Stages at which a bias alone may saturate."""


def weighted(total: str) -> str:
    """Return the `Layer.equation` of a layer whose weighted sum is `total`."""
    return f"p = sat(sat({total}) + sat(bias << bias_shift)), buffer_bits wide" + FINISH


@dataclass(frozen=True, eq=False, kw_only=True)
class NeuralLayer(OutputStage):
    """Layer with weights: weighted sum plus bias in a saturating accumulator, then output stage.

    Attributes
    ----------
    weights : int8 array
        Layout documented by each class.
    weight_bits : int
        Width of a weight, sign included.
    bias : int8 (filters,) or None
    bias_shift : uint8 (filters,) or None
        The accumulator adds ``bias << bias_shift``.
    input_shift : uint8 (channels,) or None
        Left shift per input channel before the sum; None is 0.
    buffer_bits : int
        Accumulator width, sign included. The complete sum saturates, and saturates again after the
        bias is added; partial sums do not.
    """

    weights: np.ndarray
    weight_bits: int = 8
    bias: np.ndarray | None = None
    bias_shift: np.ndarray | None = None
    input_shift: np.ndarray | None = None
    buffer_bits: int = 28

    def values_at(self, stage: str) -> int:
        """Return the number of values per image that a stage counts; see `Layer.values_at`."""
        return self.filters if stage == "bias" else super().values_at(stage)

    @property
    @abstractmethod
    def weights_shape(self) -> tuple[int, ...]:
        """Required shape of `weights`, given the layer's other registers."""

    @property
    def input_channels(self) -> int:
        """Number of channels that `input_shift` aligns."""
        return self.input_shapes[0][2]

    @property
    def filters(self) -> int:
        """Number of channels of the accumulator."""
        return self.weights.shape[-1]

    @property
    def kernel_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Kernel shape for summaries."""
        return (self.weights.shape,)

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights at their register width."""
        return -(-self.weights.size * self.weight_bits // 8)

    @property
    def macs(self) -> int:
        """Multiply-accumulates per image: one per weight and output position."""
        height, width, _ = self.accumulator_shape
        return height * width * self.weights.size

    def traits(self) -> dict:
        """Return the facts of the output stage, and the width of the weights."""
        return {**super().traits(), "weight_bits": self.weight_bits}

    @abstractmethod
    def accumulate(self, x: np.ndarray) -> np.ndarray:
        """Return the exact weighted sums of shifted inputs, int64, not yet saturated."""

    def check_geometry(self) -> Iterator[str]:
        """Yield a sentence for every invalid register that determines the accumulator's shape."""
        yield from ()

    def run(self, x: np.ndarray, *, tally: Tally | None = None) -> np.ndarray:
        """Return the output; see `Layer.run`."""
        return self.finish(self.potentials(x, tally), tally)

    def potentials(self, x: np.ndarray, tally: Tally | None = None) -> np.ndarray:
        """Return the saturated accumulators with bias, int64 (n, h, w, filters)."""
        return self.add_bias(self.accumulate(self.shifted(x, tally)), tally)

    def shifted(self, x: np.ndarray, tally: Tally | None = None) -> np.ndarray:
        """Return inputs aligned by `input_shift` and saturated to the accumulator's width."""
        if self.input_shift is None:
            return x
        return saturate(shift_left(x, self.input_shift), self.buffer_bits - 1, "input", tally)

    def add_bias(self, sums: np.ndarray, tally: Tally | None = None) -> np.ndarray:
        """Return sums saturated, increased by the shifted bias and saturated again, int64."""
        value_bits = self.buffer_bits - 1
        if self.bias is None:
            return saturate(sums, value_bits, "accumulator", tally)
        shift = 0 if self.bias_shift is None else self.bias_shift
        bias = shift_left(self.bias.astype(np.int64), shift)
        bias = saturate(bias, value_bits, "bias", for_each(tally, len(sums)))
        potentials = saturate(sums, value_bits) + bias
        if tally is not None:
            # A value that saturates both before and after the bias counts once.
            masks = outside(sums, value_bits), outside(potentials, value_bits)
            report(tally, "accumulator", *masks)
        return saturate(potentials, value_bits)

    def saturated_constants(self) -> Mapping[str, int]:
        """Return the number of filters whose bias alone saturates, by stage in `CONSTANT`."""
        found: Counter = Counter()

        def tally(stage: str, count: int) -> None:
            found[stage] += count

        sums = self.add_bias(np.zeros((1, 1, 1, self.filters), np.int64), tally)
        if self.activation == "relu":
            sums = self._relu(sums, tally)
        if self.activation != "lut" and not self.global_pool:
            self._scale_down(sums, tally)
        return {stage: found[stage] for stage in CONSTANT if found[stage]}

    def check(self) -> Iterator[str]:
        """Check that weights, biases and shifts fit their registers."""
        problems = list(check_weights(self.weights, self.weight_bits, self.weights_shape))
        problems = problems or list(self.check_geometry())
        if problems:
            yield from problems
            return  # the other registers' shapes follow from these
        yield from check_register("bias", self.bias, (self.filters,), -128, 127)
        yield from check_register("bias_shift", self.bias_shift, (self.filters,), 0, 32)
        yield from check_register("input_shift", self.input_shift, (self.input_channels,), 0, 32)
        if not 8 <= self.buffer_bits <= 33:
            yield f"buffer_bits is {self.buffer_bits}; allowed: 8 to 33"
        yield from super().check()
