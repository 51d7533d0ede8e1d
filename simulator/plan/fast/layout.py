"""Memory layout of weights and staircases for the register tiles."""

from __future__ import annotations

import numpy as np

from simulator.plan.fast.depthwise import CHANNELS, channel_order
from simulator.plan.fast.tiles import FILTERS
from simulator.plan.fast.vectors import LANES
from simulator.plan.workspace import aligned


def panels(weights: np.ndarray) -> tuple[np.ndarray, int]:
    """Return weights in the layout of `convolve`, and the number of pairs in a run.

    Parameters
    ----------
    weights : int array (runs, depth, filters)
        A run is contiguous in a window: ``kw * channels`` values.

    Returns
    -------
    int16 (size,)
        By panel of `FILTERS` filters, run, pair of depths, filter: two weights, padded with zeros.
    int
        Pairs of a run.
    """
    runs, depth, filters = weights.shape
    pairs, count = -(-depth // 2), -(-filters // FILTERS)
    filled = np.zeros((runs, 2 * pairs, count * FILTERS), np.int16)
    filled[:, :depth, :filters] = weights
    ordered = filled.reshape(runs, pairs, 2, count, FILTERS).transpose(3, 0, 1, 4, 2)
    return _aligned(ordered), pairs


def winograd_panels(weights: np.ndarray) -> np.ndarray:
    """Return transformed weights (4, 4, channels, filters) in the layout of `convolve_tiles`.

    Returns
    -------
    int16 (size,)
        By panel of `FILTERS` filters and point, each in the layout of one run of `panels`.
    """
    points = weights.reshape(-1, *weights.shape[2:])
    laid = np.stack([panels(point[None])[0] for point in points])
    count = weights.shape[3] // FILTERS
    return _aligned(laid.reshape(len(points), count, -1).transpose(1, 0, 2))


def tap_pairs(weights: np.ndarray, row_step: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (taps, weights) in the layout of `convolve_channels`.

    Parameters
    ----------
    weights : int array (kh, kw, channels)
    row_step : int
        Distance between rows of the padded input, in values.
    """
    kh, kw, channels = weights.shape
    taps = (np.arange(kh)[:, None] * row_step + np.arange(kw) * channels).reshape(-1)
    count, groups = -(-len(taps) // 2), -(-channels // CHANNELS)
    # The last tap of an odd number is repeated with weight 0.
    taps = np.append(taps, taps[-1:] if len(taps) % 2 else taps[:0]).astype(np.int64)
    filled = np.zeros((2 * count, groups * CHANNELS), np.int16)
    filled[: kh * kw, :channels] = weights.reshape(kh * kw, channels)
    ordered = filled.reshape(count, 2, groups, CHANNELS)[..., channel_order()]
    return taps, _aligned(ordered.transpose(2, 0, 3, 1))


def per_filter(values: np.ndarray, fill: int = 0) -> np.ndarray:
    """Return a vector (filters,) padded to a multiple of `FILTERS`."""
    return _padded(values, FILTERS, fill)


def per_channel(values: np.ndarray, fill: int = 0) -> np.ndarray:
    """Return a vector (channels,) padded to a multiple of a tile, in `channel_order`."""
    filled = _padded(values, CHANNELS, fill)
    return _aligned(filled.reshape(-1, CHANNELS)[:, channel_order()])


def lane_pairs(values: np.ndarray) -> np.ndarray:
    """Return a vector with the even entries of every `LANES` entries before the odd ones."""
    return _aligned(values.reshape(-1, LANES // 2, 2).transpose(0, 2, 1))


def _padded(values, multiple: int, fill: int) -> np.ndarray:
    filled = aligned(-(-len(values) // multiple) * multiple, values.dtype)
    filled[:] = fill
    filled[: len(values)] = values
    return filled


def _aligned(values: np.ndarray) -> np.ndarray:
    """Return values as a cache-aligned vector (size,) in memory order."""
    flat = aligned(values.size, values.dtype)
    flat.reshape(values.shape)[...] = values
    return flat
