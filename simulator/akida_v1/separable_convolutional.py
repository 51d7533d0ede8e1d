"""SeparableConvolutional: fused depthwise and pointwise convolutions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from simulator import kernels
from simulator.akida_v1.neuron import NeuralLayer
from simulator.layer import Shape
from simulator.registers import check_weights, check_window
from simulator.windows import output_length


@dataclass(frozen=True, eq=False, kw_only=True)
class SeparableConvolutional(NeuralLayer):
    """Depthwise then pointwise convolution; nothing is rounded between them.

    Attributes
    ----------
    weights : int8 (kh, kw, channels, 1)
        Depthwise kernel, flipped along both spatial axes.
    weights_pw : int8 (1, 1, channels, filters)
        Pointwise kernel.
    kernel_stride : pair of int
    """

    weights_pw: np.ndarray
    kernel_stride: tuple[int, int] = (1, 1)

    label = "Sep.Conv."

    @property
    def filters(self) -> int:
        """Number of filters of the pointwise convolution."""
        return self.weights_pw.shape[-1]

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """Required shape of `weights`."""
        return (*self.weights.shape[:2], self.input_shapes[0][2], 1)

    @property
    def kernel_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of both kernels, depthwise first."""
        return self.weights.shape, self.weights_pw.shape

    @property
    def weight_bytes(self) -> int:
        """Bytes of both kernels."""
        return -(-(self.weights.size + self.weights_pw.size) * self.weights_bits // 8)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of both convolutions."""
        height, width, _ = self.potential_shape
        return height * width * (self.weights.size + self.weights_pw.size)

    @property
    def potential_shape(self) -> Shape:
        """Height, width and filters before pooling."""
        height, width = (
            output_length(n, k, s, self.padding)
            for n, k, s in zip(
                self.input_shapes[0][:2], self.weights.shape[:2], self.kernel_stride, strict=True
            )
        )
        return height, width, self.filters

    def potentials(self, x: np.ndarray) -> np.ndarray:
        """Return the pointwise convolution of the depthwise one."""
        kernel = self.weights[::-1, ::-1]
        x = kernels.depthwise_conv2d(x, kernel, self.kernel_stride, self.padding)
        return kernels.conv2d(x, self.weights_pw, (1, 1), "valid")

    def check_kernel(self) -> Iterator[str]:
        """Yield a sentence for every problem of the kernels."""
        yield from super().check_kernel()
        shape = (1, 1, self.input_shapes[0][2], self.filters)
        for sentence in check_weights(self.weights_pw, self.weights_bits, shape):
            yield sentence.replace("weights", "weights_pw", 1)
        size, kernel = self.input_shapes[0][:2], self.weights.shape[:2]
        yield from check_window("kernel", size, kernel, self.kernel_stride, self.padding)

    def traits(self) -> dict:
        """Return the facts of every neural layer, and the window."""
        window = {"kernel": self.weights.shape[:2], "stride": self.kernel_stride}
        return {**super().traits(), **window, "padding": self.padding}
