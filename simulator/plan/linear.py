"""The linear part of a layer, whatever the chip: weights, window, max pooling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False, kw_only=True)
class Linear:
    """What is summed, before the staircase.

    Attributes
    ----------
    kind : {"conv", "depthwise", "separable", "dense"}
    weights : int64 (kh, kw, channels, filters)
        Cross-correlation order, input shifts included; depthwise and separable (kh, kw, channels,
        1); dense (1, 1, inputs, units).
    pointwise : int64 (channels, filters) or None
        Second kernel of a separable convolution.
    strides : pair of int
    padding : {"same", "valid"}
    padding_value : int or integer array (channels,) or None
        In units of the unshifted input.
    pool_size, pool_strides : pair of int or None
        Max pooling of the sums.
    pool_padding : {"same", "valid"}
    largest_input : int or None
        Inputs of a larger magnitude saturate when they are shifted, which no weight expresses.
    """

    kind: str
    weights: np.ndarray
    pointwise: np.ndarray | None = None
    strides: tuple[int, int] = (1, 1)
    padding: str = "valid"
    padding_value: np.ndarray | int | None = None
    pool_size: tuple[int, int] | None = None
    pool_strides: tuple[int, int] | None = None
    pool_padding: str = "valid"
    largest_input: int | None = None

    @property
    def filters(self) -> int:
        """Channels of the sums."""
        if self.pointwise is not None:
            return self.pointwise.shape[1]
        return self.weights.shape[2 if self.kind == "depthwise" else 3]

    @property
    def weight_sums(self) -> np.ndarray:
        """Sums of the magnitudes of each filter's weights, int64; bounds for every partial sum."""
        if self.kind in ("conv", "dense"):
            return np.abs(self.weights).sum(axis=(0, 1, 2))
        inner = np.abs(self.weights).sum(axis=(0, 1))[..., 0]
        if self.pointwise is None:
            return inner
        # The depthwise sums are numbers of their own: the larger of both bounds counts.
        return np.maximum(inner @ np.abs(self.pointwise), inner.max(initial=0))
