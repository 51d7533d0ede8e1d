"""Convolutional and InputConvolutional: convolutions of Akida 1.0."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from simulator import kernels
from simulator.akida_v1.neuron import NeuralLayer
from simulator.layer import Shape
from simulator.registers import check_window
from simulator.windows import output_length


@dataclass(frozen=True, eq=False, kw_only=True)
class Convolutional(NeuralLayer):
    """Convolution of 1-, 2- or 4-bit activations.

    Attributes
    ----------
    weights : int8 (kh, kw, channels, filters)
        Flipped along both spatial axes (a true convolution).
    kernel_stride : pair of int
    """

    kernel_stride: tuple[int, int] = (1, 1)

    label = "Conv."

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """Required shape of `weights`."""
        return (*self.weights.shape[:2], self.input_shapes[0][2], self.weights.shape[-1])

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
        """Return the convolution: cross-correlation with the kernel flipped back."""
        return kernels.conv2d(x, self.weights[::-1, ::-1], self.kernel_stride, self.padding)

    def check_kernel(self) -> Iterator[str]:
        """Yield a sentence for every problem of the kernel."""
        yield from super().check_kernel()
        size, kernel = self.input_shapes[0][:2], self.weights.shape[:2]
        yield from check_window("kernel", size, kernel, self.kernel_stride, self.padding)

    def traits(self) -> dict:
        """Return the facts of every neural layer, and the window."""
        window = {"kernel": self.weights.shape[:2], "stride": self.kernel_stride}
        return {**super().traits(), **window, "padding": self.padding}


@dataclass(frozen=True, eq=False, kw_only=True)
class InputConvolutional(Convolutional):
    """Convolution of an 8-bit image of 1 or 3 channels.

    Attributes
    ----------
    weights : int8 (kh, kw, channels, filters)
        Not flipped: this layer cross-correlates.
    padding_value : int
        Pixel value of "same" padding.
    """

    padding_value: int = 0

    label = "InputConv."

    def potentials(self, x: np.ndarray) -> np.ndarray:
        """Return the cross-correlation of the image padded with `padding_value`."""
        return kernels.conv2d(x, self.weights, self.kernel_stride, self.padding, self.padding_value)

    def check(self) -> Iterator[str]:
        """Check that the padding value is a pixel."""
        yield from super().check()
        if not 0 <= self.padding_value <= 255:
            yield f"padding_value is {self.padding_value}; allowed: 0 to 255"
