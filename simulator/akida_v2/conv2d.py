"""Conv2D: convolution on quantized inputs."""

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
        Flipped along both spatial axes (a true convolution).
    kernel_stride : pair of int
    padding : {"same", "valid"}
        "same" pads with zeros; an odd pixel is added at the bottom and right.
    """

    kernel_stride: tuple[int, int] = (1, 1)
    padding: str = "same"

    equation: ClassVar[str] = weighted(
        "correlate(sat(x << input_shift), weights flipped in height and width)"
    )

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """Required shape of `weights`."""
        return (*self.weights.shape[:2], self.input_shapes[0][2], self.weights.shape[-1])

    @property
    def accumulator_shape(self) -> Shape:
        """Height, width and filters before pooling."""
        height, width = (
            output_length(n, k, s, self.padding)
            for n, k, s in zip(
                self.input_shapes[0][:2], self.weights.shape[:2], self.kernel_stride, strict=True
            )
        )
        return height, width, self.filters

    def accumulate(self, x: np.ndarray) -> np.ndarray:
        """Return the convolution: cross-correlation with the kernel flipped back."""
        return kernels.conv2d(x, self.weights[::-1, ::-1], self.kernel_stride, self.padding)

    def check_geometry(self) -> Iterator[str]:
        """Yield a sentence if the kernel does not fit the input."""
        size, kernel = self.input_shapes[0][:2], self.weights.shape[:2]
        yield from check_window("kernel", size, kernel, self.kernel_stride, self.padding)

    def traits(self) -> dict:
        """Return the facts of every neural layer, and the window."""
        window = {"kernel": self.weights.shape[:2], "stride": self.kernel_stride}
        return {**super().traits(), **window, "padding": self.padding}
