"""Akida 1.0 neuron: pooling, threshold, then uniform quantization to levels.

With threshold T and step s, the level of a potential p is n + 1 if ``T + n s < p <= T + (n+1) s``
(BrainChip documentation, "Activation parameters"):
``activation = clip(ceil((p - T) / s), 0, 2**act_bits - 1)``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simulator.integer import Tally
from simulator.kernels import global_sum, max_pool
from simulator.layer import Layer, Shape
from simulator.registers import check_register, check_weights, check_window
from simulator.windows import output_length

ACT_BITS = (1, 2, 4)
POOLS = ("none", "max", "average")


@dataclass(frozen=True, eq=False, kw_only=True)
class NeuralLayer(Layer):
    """Layer with weights: weighted sum, pooling, neuron.

    Attributes
    ----------
    weights : int8 array
        Layout documented by each class.
    weights_bits : int
        Width of a weight, sign included (1 bit is unsigned).
    pool_type : {"none", "max", "average"}
        "average" is global and computes the *sum*: thresholds and steps include the division.
    pool_size, pool_stride : pair of int or None
        Window and stride of max pooling, which applies to potentials.
    padding : {"same", "valid"}
        Padding of the convolution and of its max pooling.
    threshold : int32 (filters,)
        In units of the potentials.
    act_step : float32 (filters,)
        Step for 4-bit activations: levels are ``act_step * 2**(4 - act_bits)`` apart. Without an
        activation, the potential of an output of 1.
    activation : bool
        False for a last layer, whose output ``(p - threshold) / act_step`` is computed on the host
        in floating point.
    threshold_fraction : float32 (filters,) or None
        For a last layer only: fractional part of the threshold, which the host subtracts too. Not
        a register of the chip; None subtracts the integer threshold only.
    act_bits : int
        Width of a level, unsigned.
    """

    weights: np.ndarray
    weights_bits: int
    threshold: np.ndarray
    act_step: np.ndarray
    activation: bool = True
    threshold_fraction: np.ndarray | None = None
    act_bits: int = 4
    padding: str = "same"
    pool_type: str = "none"
    pool_size: tuple[int, int] | None = None
    pool_stride: tuple[int, int] | None = None

    clips: ClassVar[tuple[str, ...]] = ("output",)

    @property
    @abstractmethod
    def weights_shape(self) -> tuple[int, ...]:
        """Required shape of `weights`, given the layer's other registers."""

    @property
    def filters(self) -> int:
        """Number of neurons per position."""
        return self.weights.shape[-1]

    @property
    def kernel_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Kernel shapes for summaries."""
        return (self.weights.shape,)

    @property
    def gives_floats(self) -> bool:
        """True for a layer without activation, whose output is floating-point."""
        return not self.activation

    @property
    @abstractmethod
    def potential_shape(self) -> Shape:
        """Height, width and filters before pooling."""

    @property
    def output_shape(self) -> Shape:
        """Height, width and filters after pooling."""
        height, width, filters = self.potential_shape
        if self.pool_type == "average":
            return 1, 1, filters
        if self.pool_type == "max":
            height, width = (
                output_length(n, k, s, self.padding)
                for n, k, s in zip((height, width), self.pool_size, self.pool_stride, strict=True)
            )
        return height, width, filters

    def output_width(self, *inputs: tuple[int, bool] | None) -> tuple[int, bool] | None:
        """Return (bits, signed) of a level; None without activation."""
        return (self.act_bits, False) if self.activation else None

    @property
    def weight_bits(self) -> int:
        """`weights_bits` under the name that both chips share."""
        return self.weights_bits

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights at their register width."""
        return -(-self.weights.size * self.weights_bits // 8)

    @property
    def macs(self) -> int:
        """Multiply-accumulates per image: one per weight and position."""
        height, width, _ = self.potential_shape
        return height * width * self.weights.size

    def traits(self) -> dict:
        """Return shapes, pooling, widths and, with an activation, the extremes of its registers."""
        found: dict = {
            "shape": self.potential_shape,
            "pool": self.pool_size,
            "pool_stride": self.pool_stride,
            "pool_padding": self.padding if self.pool_type == "max" else None,
            "average": self.potential_shape[:2] if self.pool_type == "average" else None,
            "weight_bits": self.weights_bits,
        }
        if self.activation:
            found["activation"], found["output_bits"] = "relu", self.act_bits
            found["act_step"] = float(self.act_step.max())
            found["threshold"] = int(np.abs(self.threshold.astype(np.int64)).max())
        return found

    @abstractmethod
    def potentials(self, x: np.ndarray) -> np.ndarray:
        """Return the exact weighted sums of inputs, int64 (n, h, w, filters)."""

    def run(self, x: np.ndarray, *, tally: Tally | None = None) -> np.ndarray:
        """Return levels (int32), or float32 without an activation; see `Layer.run`."""
        return self.activate(self.potentials(x), tally)

    def activate(self, potentials: np.ndarray, tally: Tally | None = None) -> np.ndarray:
        """Apply pooling, thresholds and steps to potentials, int64 (n, h, w, filters)."""
        if self.pool_type == "max":
            potentials = max_pool(potentials, self.pool_size, self.pool_stride, self.padding)
        elif self.pool_type == "average":
            potentials = global_sum(potentials)
        return self.activate_pooled(potentials, tally)

    def activate_pooled(self, potentials: np.ndarray, tally: Tally | None = None) -> np.ndarray:
        """Apply thresholds and steps to pooled potentials, int64 (n, h, w, filters)."""
        above = potentials - self.threshold.astype(np.int64)
        if not self.activation:
            if self.threshold_fraction is not None:
                above = above - self.threshold_fraction.astype(np.float64)
            return (above / self.act_step.astype(np.float64)).astype(np.float32)
        return self.levels(above, tally)

    def levels(self, above: np.ndarray, tally: Tally | None = None) -> np.ndarray:
        """Return the int32 levels of potentials minus threshold, int64 (n, h, w, filters).

        `ceil` of the float64 quotient is exact: for integers below 2**28 and a float32 step of at
        most 2**24, a fractional quotient differs from every integer by at least 2**-24, and its
        float64 rounding error is below 2**-25.

        Raises
        ------
        OverflowError
            If a potential differs from its threshold by 2**28 or more.
        """
        if above.size and max(-int(above.min()), int(above.max())) >= 1 << 28:
            raise OverflowError("a potential differs from its threshold by 2**28 or more")
        step = self.act_step.astype(np.float64) * 2.0 ** (4 - self.act_bits)
        highest = (1 << self.act_bits) - 1
        levels = np.ceil(above / step)
        if tally is not None and (beyond := int(np.count_nonzero(levels > highest))):
            tally("output", beyond)
        return np.clip(levels, 0, highest).astype(np.int32)

    def check_kernel(self) -> Iterator[str]:
        """Yield a sentence for every invalid register that determines the potentials' shape."""
        yield from check_weights(self.weights, self.weights_bits, self.weights_shape)

    def check(self) -> Iterator[str]:
        """Check that weights, windows, thresholds and steps fit their registers."""
        problems = list(self.check_kernel())
        if problems:
            yield from problems
            return  # the other registers' shapes follow from these
        filters = (self.filters,)
        yield from check_register("threshold", self.threshold, filters, -(1 << 31), (1 << 31) - 1)
        step = self.act_step
        if step.shape != filters or step.dtype != np.float32:
            yield f"act_step is {step.dtype} of shape {step.shape}; needs float32 {filters}"
        elif not (np.isfinite(step).all() and (step > 0).all()):
            yield f"act_step reaches {step.min()}..{step.max()}; it must lie above 0"
        elif self.activation and (step > 1 << 24).any():
            yield f"act_step reaches {step.min()}..{step.max()}; it must lie above 0, up to 2**24"
        fraction = self.threshold_fraction
        if fraction is not None and (
            self.activation or fraction.shape != filters or fraction.dtype != np.float32
        ):
            yield (
                "threshold_fraction belongs to a layer without activation, float32"
                f" {filters}; found {fraction.dtype} {fraction.shape}"
            )
        if self.activation and self.act_bits not in ACT_BITS:
            yield f"act_bits is {self.act_bits}; allowed: 1, 2, 4"
        if self.pool_type not in POOLS:
            yield f"pool_type is '{self.pool_type}'; allowed: {', '.join(POOLS)}"
        elif (self.pool_type == "max") != (self.pool_size is not None) or (
            (self.pool_size is None) != (self.pool_stride is None)
        ):
            yield "pool_size and pool_stride belong to pool_type 'max'; give both or neither"
        elif self.pool_type == "max":
            size = self.potential_shape[:2]
            yield from check_window("pool", size, self.pool_size, self.pool_stride, self.padding)
