"""InputConv2D: first convolution, on raw image pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simulator import kernels
from simulator.akida_v2.conv2d import Conv2D
from simulator.akida_v2.neural_layer import weighted
from simulator.registers import check_register


@dataclass(frozen=True, eq=False, kw_only=True)
class InputConv2D(Conv2D):
    """Convolution on an image of 1 or 3 channels.

    Attributes
    ----------
    weights : int8 (kh, kw, channels, filters)
        Not flipped: this layer cross-correlates.
    padding_value : integer (channels,) or None
        Value of "same" padding (the image's zero point); None is zero.
    """

    padding_value: np.ndarray | None = None

    equation: ClassVar[str] = weighted("correlate(x padded with padding_value, weights)")

    def accumulate(self, x: np.ndarray) -> np.ndarray:
        """Return the cross-correlation of the image padded with `padding_value`."""
        value = 0 if self.padding_value is None else self.padding_value
        return kernels.conv2d(x, self.weights, self.kernel_stride, self.padding, value)

    def check(self) -> Iterator[str]:
        """Check that the padding values fit their register."""
        channels = (self.input_shapes[0][2],)
        yield from check_register(
            "padding_value", self.padding_value, channels, -(1 << 27), 1 << 27
        )
        yield from super().check()

    def traits(self) -> dict:
        """Return the facts of a convolution, and the extremes of the padding values."""
        value = self.padding_value
        extremes = None if value is None else (int(value.min()), int(value.max()))
        return {**super().traits(), "padding_values": extremes}
