"""DepthwiseConv2D: one kernel per channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simulator import kernels
from simulator.akida_v2.conv2d import Conv2D
from simulator.akida_v2.neural_layer import weighted


@dataclass(frozen=True, eq=False, kw_only=True)
class DepthwiseConv2D(Conv2D):
    """Depthwise convolution.

    Attributes
    ----------
    weights : int8 (kh, kw, channels, 1)
        Flipped along both spatial axes. No `input_shift`: each channel keeps its own scale.
    """

    equation: ClassVar[str] = weighted(
        "correlate(sat(x << input_shift), weights flipped, per channel)"
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
        """Return the convolution of each channel with its own kernel."""
        flipped = self.weights[::-1, ::-1]
        return kernels.depthwise_conv2d(x, flipped, self.kernel_stride, self.padding)
