"""Conv2DTranspose and DepthwiseConv2DTranspose: upsampling convolutions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simulator import kernels
from simulator.akida_v2.neural_layer import NeuralLayer, weighted
from simulator.layer import Shape
from simulator.registers import check_window


@dataclass(frozen=True, eq=False, kw_only=True)
class Conv2DTranspose(NeuralLayer):
    """Transposed convolution.

    Attributes
    ----------
    weights : int8 (kh, kw, channels, filters)
        Not flipped.
    kernel_stride : pair of int
    padding : {"same", "valid"}
    """

    kernel_stride: tuple[int, int] = (2, 2)
    padding: str = "same"

    equation: ClassVar[str] = weighted("transposed convolution(sat(x << input_shift), weights)")

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """Required shape of `weights`."""
        return (*self.weights.shape[:2], self.input_shapes[0][2], self.weights.shape[-1])

    @property
    def accumulator_shape(self) -> Shape:
        """Input size times stride, plus ``max(kernel - stride, 0)`` for "valid"; filters."""
        overhang = self.padding == "valid"
        height, width = (
            n * s + overhang * max(k - s, 0)
            for n, k, s in zip(
                self.input_shapes[0][:2], self.weights.shape[:2], self.kernel_stride, strict=True
            )
        )
        return height, width, self.filters

    @property
    def macs(self) -> int:
        """Multiply-accumulates per image: one per weight and *input* position."""
        height, width, _ = self.input_shapes[0]
        return height * width * self.weights.size

    def accumulate(self, x: np.ndarray) -> np.ndarray:
        """Return the transposed convolution."""
        return kernels.conv2d_transpose(x, self.weights, self.kernel_stride, self.padding)

    def check_geometry(self) -> Iterator[str]:
        """Yield a sentence for an invalid kernel, stride or padding; every input size fits."""
        kernel = self.weights.shape[:2]
        yield from check_window("kernel", kernel, kernel, self.kernel_stride, self.padding)

    def traits(self) -> dict:
        """Return the facts of every neural layer, and the window."""
        window = {"kernel": self.weights.shape[:2], "stride": self.kernel_stride}
        return {**super().traits(), **window, "padding": self.padding}


@dataclass(frozen=True, eq=False, kw_only=True)
class DepthwiseConv2DTranspose(Conv2DTranspose):
    """Depthwise transposed convolution; weights int8 (kh, kw, channels, 1), not flipped."""

    equation: ClassVar[str] = weighted(
        "transposed convolution(sat(x << input_shift), weights, per channel)"
    )

    @property
    def filters(self) -> int:
        """Number of channels, the same for input and output."""
        return self.weights.shape[2]

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """Required shape of `weights`."""
        return (*self.weights.shape[:2], self.input_shapes[0][2], 1)

    def accumulate(self, x: np.ndarray) -> np.ndarray:
        """Return the transposed convolution of each channel."""
        return kernels.depthwise_conv2d_transpose(x, self.weights, self.kernel_stride, self.padding)
