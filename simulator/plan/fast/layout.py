"""How weights and staircases lie in memory for the register tiles."""

from __future__ import annotations

import numpy as np

from simulator.plan.fast.depthwise import CHANNELS, channel_order
from simulator.plan.fast.tiles import FILTERS
from simulator.plan.fast.vectors import LANES
from simulator.plan.workspace import aligned


def panels(weights: np.ndarray) -> tuple[np.ndarray, int]:
    """Return weights as `convolve` takes them, and the pairs of a run.

    Parameters
    ----------
    weights : integers (runs, depth, filters)
        A run is what lies side by side in a window: ``kw * channels`` values.

    Returns
    -------
    int16 (size,)
        By panel of `FILTERS` filters, run, pair of depths, filter: two weights; zeros fill up.
    """
    runs, depth, filters = weights.shape
    pairs, count = -(-depth // 2), -(-filters // FILTERS)
    filled = np.zeros((runs, 2 * pairs, count * FILTERS), np.int16)
    filled[:, :depth, :filters] = weights
    ordered = filled.reshape(runs, pairs, 2, count, FILTERS).transpose(3, 0, 1, 4, 2)
    return _lined_up(ordered), pairs


def winograd_panels(weights: np.ndarray) -> np.ndarray:
    """Return transformed weights (4, 4, channels, filters) as `convolve_tiles` takes them.

    Returns
    -------
    int16 (size,)
        By panel of `FILTERS` filters and point, as `panels` lays out one run.
    """
    points = weights.reshape(-1, *weights.shape[2:])
    laid = np.stack([panels(point[None])[0] for point in points])
    count = weights.shape[3] // FILTERS
    return _lined_up(laid.reshape(len(points), count, -1).transpose(1, 0, 2))


def tap_pairs(weights: np.ndarray, row_step: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (taps, weights) as `convolve_channels` takes them.

    Parameters
    ----------
    weights : integers (kh, kw, channels)
    row_step : int
        How far rows of the input lie apart.
    """
    kh, kw, channels = weights.shape
    taps = (np.arange(kh)[:, None] * row_step + np.arange(kw) * channels).reshape(-1)
    count, groups = -(-len(taps) // 2), -(-channels // CHANNELS)
    # An odd tap is read twice, the second time with weight 0.
    taps = np.append(taps, taps[-1:] if len(taps) % 2 else taps[:0]).astype(np.int64)
    filled = np.zeros((2 * count, groups * CHANNELS), np.int16)
    filled[: kh * kw, :channels] = weights.reshape(kh * kw, channels)
    ordered = filled.reshape(count, 2, groups, CHANNELS)[..., channel_order()]
    return taps, _lined_up(ordered.transpose(2, 0, 3, 1))


def per_filter(values: np.ndarray, fill: int = 0) -> np.ndarray:
    """Return a vector (filters,), filled up to whole tiles of `FILTERS`."""
    return _filled(values, FILTERS, fill)


def per_channel(values: np.ndarray, fill: int = 0) -> np.ndarray:
    """Return a vector (channels,), filled up to whole tiles, in `channel_order`."""
    filled = _filled(values, CHANNELS, fill)
    return _lined_up(filled.reshape(-1, CHANNELS)[:, channel_order()])


def lane_pairs(values: np.ndarray) -> np.ndarray:
    """Return a vector with the even entries of each `LANES` before the odd ones."""
    return _lined_up(values.reshape(-1, LANES // 2, 2).transpose(0, 2, 1))


def _filled(values, multiple: int, fill: int) -> np.ndarray:
    filled = aligned(-(-len(values) // multiple) * multiple, values.dtype)
    filled[:] = fill
    filled[: len(values)] = values
    return filled


def _lined_up(values: np.ndarray) -> np.ndarray:
    """Return values in memory order as (size,)."""
    flat = aligned(values.size, values.dtype)
    flat.reshape(values.shape)[...] = values
    return flat
