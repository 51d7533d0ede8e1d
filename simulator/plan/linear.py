"""Linear part of a layer of any chip: weights, window, max pooling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False, kw_only=True)
class Linear:
    """Linear part of a layer, whose sums the staircase maps to outputs.

    Attributes
    ----------
    kind : {"conv", "depthwise", "separable", "dense"}
    weights : int64 (kh, kw, channels, filters)
        In cross-correlation order, including input shifts. Shape (kh, kw, channels, 1) if depthwise
        or separable, (1, 1, inputs, units) if dense.
    pointwise : int64 (channels, filters) or None
        Second kernel of a separable convolution.
    strides : pair of int
    padding : {"same", "valid"}
    padding_value : int or int array (channels,) or None
        In units of the unshifted input.
    pool_size, pool_strides : pair of int or None
        Window and stride of max pooling, which applies to the sums.
    pool_padding : {"same", "valid"}
    largest_input : int or None
        Inputs of a larger magnitude saturate when shifted, which weights cannot express.
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
        """Number of channels of the sums."""
        if self.pointwise is not None:
            return self.pointwise.shape[1]
        return self.weights.shape[2 if self.kind == "depthwise" else 3]

    @property
    def weight_sums(self) -> np.ndarray:
        """Sum of each filter's weight magnitudes, int64: bounds partial sums per unit of input."""
        if self.kind in ("conv", "dense"):
            return np.abs(self.weights).sum(axis=(0, 1, 2))
        inner = np.abs(self.weights).sum(axis=(0, 1))[..., 0]
        if self.pointwise is None:
            return inner
        # The depthwise sums are stored as floats too, so that the larger bound applies.
        return np.maximum(inner @ np.abs(self.pointwise), inner.max(initial=0))
