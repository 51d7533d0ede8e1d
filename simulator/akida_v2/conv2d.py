"""Conv2D: a convolution on quantized inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simulator import kernels
from simulator.akida_v2.neural_layer import NeuralLayer, weighted
from simulator.layer import Shape
from simulator.registers import check_window
from simulator.windows import output_length


@dataclass(frozen=True, eq=False, kw_only=True)
class Conv2D(NeuralLayer):
    """Convolution.

    Attributes
    ----------
    weights : int8 (kh, kw, channels, filters)
        As the chip holds them: flipped along both spatial axes (a true convolution).
    kernel_stride : pair of int
    padding : {"same", "valid"}
        "same" surrounds the input with zeros, the odd pixel at the bottom and right.
    """

    kernel_stride: tuple[int, int] = (1, 1)
    padding: str = "same"

    equation: ClassVar[str] = weighted(
        "correlate(sat(x << input_shift), weights flipped in height and width)"
    )

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """Kernel over this layer's input channels."""
        return (*self.weights.shape[:2], self.input_shapes[0][2], self.weights.shape[-1])

    @property
    def accumulator_shape(self) -> Shape:
        """Height, width, filters."""
        height, width = (
            output_length(n, k, s, self.padding)
            for n, k, s in zip(
                self.input_shapes[0][:2], self.weights.shape[:2], self.kernel_stride, strict=True
            )
        )
        return height, width, self.filters

    def accumulate(self, x: np.ndarray) -> np.ndarray:
        """Convolve: flip the chip's kernel back and cross-correlate."""
        return kernels.conv2d(x, self.weights[::-1, ::-1], self.kernel_stride, self.padding)

    def check_geometry(self) -> Iterator[str]:
        """The kernel lies in the input."""
        size, kernel = self.input_shapes[0][:2], self.weights.shape[:2]
        yield from check_window("kernel", size, kernel, self.kernel_stride, self.padding)

    def traits(self) -> dict:
        """Return the window, on top of what every neural layer has."""
        window = {"kernel": self.weights.shape[:2], "stride": self.kernel_stride}
        return {**super().traits(), **window, "padding": self.padding}
