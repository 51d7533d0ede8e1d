"""Verify that a pass does not change the function of a graph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.errors import ModelError
from pipeline.graph.graph import Graph
from pipeline.graph.parts import forward_in_parts

TOLERANCE = 1e-4
"""Tolerated change of an output, relative to the largest output.

Passes move factors between layers and reorder sums, which adds float32 rounding errors (6e-8 each,
accumulating with depth); a wrong pass changes outputs by percents.
"""


def random_images(graph: Graph, count: int = 4, seed: int = 0) -> np.ndarray:
    """Return noise of the input's dtype: uniform over an integer type, else N(0, 1) floats.

    Returns
    -------
    array of shape (count, *input shape), in the input's dtype
    """
    rng = np.random.default_rng(seed)
    shape, dtype = (count, *graph.shapes[graph.input.name]), np.dtype(graph.input.attrs["dtype"])
    if dtype.kind in "ui":
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    return rng.normal(size=shape).astype(np.float32)


def verified(
    change: Callable[[Graph], Graph], graph: Graph, samples: np.ndarray, tolerance=TOLERANCE
) -> Graph:
    """Return ``change(graph)`` after comparing its float outputs with those of `graph`.

    Parameters
    ----------
    change : function of Graph to Graph
        Returns the same graph if there is nothing to change; no outputs are computed then.
    graph : Graph
    samples : array of shape (n, *input shape)
    tolerance : float
        Largest difference, relative to the largest magnitude of the outputs.

    Raises
    ------
    ModelError
        If the outputs differ, or are not finite.
    """
    after = change(graph)
    if after is graph:
        return graph
    expected, found = (forward_in_parts(each, samples) for each in (graph, after))
    name = change.__name__
    if expected.shape != found.shape:
        raise ModelError(
            f"{graph.name}: the pass {name} changed the output shape from {expected.shape[1:]} to"
            f" {found.shape[1:]}; please report this model"
        )
    size = float(np.abs(expected).max(initial=0))
    error = float(np.abs(expected - found).max(initial=0))
    if not error <= tolerance * max(size, 1e-6):
        raise ModelError(
            f"{graph.name}: the pass {name} changed the outputs by {error:.3g} (largest output"
            f" {size:.3g}, allowed {tolerance:g} of it); check the weights for huge or non-finite"
            " values, otherwise please report this model"
        )
    return after
