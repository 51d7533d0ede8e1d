"""Order of weights and staircases in memory, as the register tiles read them."""

from __future__ import annotations

import numpy as np

from simulator.plan.fast import depthwise
from simulator.plan.fast.vectors import Vectors
from simulator.plan.workspace import aligned

UNITS = {"bytes": (4, np.int8), "words": (2, np.int16)}
"""Unit of products to the number of weights in a 32-bit lane, and their dtype."""


def panels(weights: np.ndarray, unit: str, vectors: Vectors) -> tuple[np.ndarray, int]:
    """Return weights in the order of `simulator.plan.fast.tiles`, and the steps of a run.

    Parameters
    ----------
    weights : int array (runs, depth, filters)
        A run is contiguous in a window: ``kw * channels`` values.

    Returns
    -------
    int8 or int16 (size,)
        By panel of a tile's filters, run, step, filter: the weights of a lane, padded with zeros.
        The last panel has as few vectors of filters as possible.
    int
        Steps of a run.
    """
    runs, depth, filters = weights.shape
    lane, dtype = UNITS[unit]
    steps, width = -(-depth // lane), -(-filters // vectors.lanes) * vectors.lanes
    filled = np.zeros((runs, lane * steps, width), dtype)
    filled[:, :depth, :filters] = weights
    ordered = filled.reshape(runs, steps, lane, width).transpose(0, 1, 3, 2)
    starts = range(0, width, vectors.filters)
    parts = [ordered[:, :, start : start + vectors.filters].reshape(-1) for start in starts]
    return _aligned(np.concatenate(parts)), steps


def winograd_panels(weights: np.ndarray, vectors: Vectors) -> np.ndarray:
    """Return transformed weights (4, 4, channels, filters) in the order of `convolve_tiles`.

    Returns
    -------
    int16 (size,)
        By panel of a tile's filters and point, each in the order of one run of `panels`.
    """
    points = weights.reshape(-1, *weights.shape[2:])
    laid = np.stack([panels(point[None], "words", vectors)[0] for point in points])
    count = weights.shape[3] // vectors.filters
    return _aligned(laid.reshape(len(points), count, -1).transpose(1, 0, 2))


def tap_groups(weights: np.ndarray, row_step: int, column_step: int, unit: str, vectors: Vectors):
    """Return (taps, weights) in the order of `convolve_channels`.

    Parameters
    ----------
    weights : int array (kh, kw, channels)
    row_step, column_step : int
        Bytes between rows and columns of the padded input.

    Returns
    -------
    int64 (lane * steps,)
        Bytes of each tap from the start of a window.
    int8 or int16 (size,)
        By group of a tile's channels, step, channel: the weights of a lane.
    """
    lane, dtype = UNITS[unit]
    kh, kw, channels = weights.shape
    group = depthwise.channels(vectors, unit)
    taps = (np.arange(kh)[:, None] * row_step + np.arange(kw) * column_step).reshape(-1)
    steps, groups = -(-len(taps) // lane), -(-channels // group)
    # Missing taps repeat the last one with weight 0.
    taps = np.append(taps, np.repeat(taps[-1:], lane * steps - len(taps))).astype(np.int64)
    filled = np.zeros((lane * steps, groups * group), dtype)
    filled[: kh * kw, :channels] = weights.reshape(kh * kw, channels)
    ordered = filled.reshape(steps, lane, groups, group)
    if unit == "words":
        ordered = ordered[..., depthwise.channel_order(vectors)]
    return taps, _aligned(ordered.transpose(2, 0, 3, 1))


def padded(values: np.ndarray, vectors: Vectors, fill: int = 0) -> np.ndarray:
    """Return a vector (filters,) padded to complete tiles of every kind."""
    multiple = max(vectors.filters, 2 * vectors.lanes)
    filled = aligned(-(-len(values) // multiple) * multiple, values.dtype)
    filled[:] = fill
    filled[: len(values)] = values
    return filled


def lane_pairs(values: np.ndarray, vectors: Vectors) -> np.ndarray:
    """Return a vector with the even entries of every vector of sums before the odd ones."""
    return _aligned(values.reshape(-1, vectors.lanes // 2, 2).transpose(0, 2, 1))


def _aligned(values: np.ndarray) -> np.ndarray:
    """Return values as a cache-aligned vector (size,) in memory order."""
    flat = aligned(values.size, values.dtype)
    flat.reshape(values.shape)[...] = values
    return flat
