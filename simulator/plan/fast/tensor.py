"""Outputs of layers in memory, with the padding that their consumers read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NO_PADS = ((0, 0), (0, 0))
SLACK = 64
"""Bytes after the last image, which tiles read and multiply by zero: at most a vector."""


@dataclass(frozen=True)
class Layout:
    """Layout of an output in memory.

    Attributes
    ----------
    shape : (height, width, channels)
    dtype : numpy dtype
    pads : ((top, bottom), (left, right))
        Zeros around each image.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype
    pads: tuple = NO_PADS

    @property
    def padded_shape(self) -> tuple[int, int, int]:
        """Height, width and channels with padding."""
        (top, bottom), (left, right) = self.pads
        height, width, channels = self.shape
        return height + top + bottom, width + left + right, channels

    @property
    def steps(self) -> tuple[int, int, int]:
        """Bytes between images, rows and columns."""
        height, width, channels = self.padded_shape
        column = channels * self.dtype.itemsize
        return height * width * column, width * column, column

    @property
    def first(self) -> int:
        """Bytes before the first value of the first image."""
        (top, _), (left, _) = self.pads
        return top * self.steps[1] + left * self.steps[2]

    def size(self, images: int) -> int:
        """Return the bytes of some images."""
        return images * self.steps[0] + SLACK


class Tensor:
    """Output of a layer for a number of images.

    Parameters
    ----------
    layout : Layout
    images : int
    memory : uint8 (layout.size(images),)

    Attributes
    ----------
    start, address : int
        Addresses of the padding before the first value, and of that value.
    array : (images, height, width, channels)
        View without padding.
    """

    def __init__(self, layout: Layout, images: int, memory: np.ndarray):
        self.layout, self.images, self.memory = layout, images, memory
        self.start = memory.ctypes.data
        self.address = self.start + layout.first
        used = memory[: images * layout.steps[0]].view(layout.dtype)
        padded = used.reshape(images, *layout.padded_shape)
        (top, _), (left, _) = layout.pads
        height, width, _ = layout.shape
        self.array = padded[:, top : top + height, left : left + width]

    @property
    def clearing(self) -> dict | None:
        """Arguments of the kernel that clears the padding; None without padding."""
        if self.layout.pads == NO_PADS:
            return None
        (top, bottom), (left, right) = self.layout.pads
        column = self.layout.steps[2]
        return {
            "out": self.start, "images": self.images, "top": top, "bottom": bottom,
            "left": left * column, "right": right * column,
            "height": self.layout.shape[0], "width": self.layout.shape[1] * column,
        }  # fmt: skip
