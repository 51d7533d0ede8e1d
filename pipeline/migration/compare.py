"""Measure the difference of two float models: at their outputs, and layer by layer."""

from __future__ import annotations

import math

import numpy as np

from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.preparation.head import cut_head
from pipeline.transforms.sequence import TOLERANCE
from simulator.classes import classify

EXACT, NOISE, APPROXIMATE = "exact", "float noise", "approximate"
CALIBRATED = "exact on the calibrated range"
"""Equivalence classes: no bit differs; only the order of float32 sums; another function; the same
function up to float noise while values stay in the range that was measured on the samples."""
CLASSES = (EXACT, NOISE, CALIBRATED, APPROXIMATE)
LAYER_IMAGES = 8
MOST_VALUES = 1 << 25
"""Number of images on which layers are compared, and largest number of values for it."""


def equivalence(
    difference: float, largest: float, equivalent: bool, calibrated: bool = False
) -> str:
    """Return the class of a change.

    Parameters
    ----------
    difference, largest : float
        Largest change of an output, and largest output.
    equivalent : bool
        True if the change is meant to keep the function.
    calibrated : bool
        True if it keeps it on the calibrated range only.
    """
    if not equivalent or not difference <= TOLERANCE * max(largest, 1.0):
        return APPROXIMATE
    if calibrated:
        return CALIBRATED
    return EXACT if difference == 0 else NOISE


def outputs_of(graph: Graph, images: np.ndarray) -> np.ndarray:
    """Return a model's outputs before a final softmax or sigmoid, which hides differences.

    Parameters
    ----------
    graph : Graph
    images : array of shape (n, *input shape)

    Returns
    -------
    float32 array of shape (n, *output shape)
    """
    return forward(cut_head(graph)[0], images)


def compare_outputs(before: np.ndarray, after: np.ndarray, labels=None) -> dict:
    """Return differences of two models' outputs on the same images as JSON values.

    Parameters
    ----------
    before, after : array of shape (n, ...)
        Logits, from `outputs_of`.
    labels : int array of shape (n,), optional
        Adds accuracies.
    """
    difference = float(np.max(np.abs(after.reshape(before.shape) - before), initial=0))
    largest = float(np.max(np.abs(before), initial=0))
    found = {
        "max_abs_difference": difference,
        "largest_output": largest,
        "agreement": float(np.mean(classify(before) == classify(after))),
    }
    if labels is not None:
        found["accuracy_before"] = float(np.mean(classify(before) == labels))
        found["accuracy_after"] = float(np.mean(classify(after) == labels))
    return found


def compare_layers(
    before: Graph, after: Graph, images: np.ndarray, fed: np.ndarray | None = None
) -> list[dict]:
    """Return one entry per layer of either model, in the order of the new one.

    Parameters
    ----------
    before, after : Graph
    images : array of shape (n, *input shape of `before`)
    fed : array of shape (n, *input shape of `after`), optional
        The same images, where `after` takes another shape.

    Returns
    -------
    list of dict
        ``before`` and ``after``: name, type, output shape and parameters, or None if a model lacks
        the layer; ``status``: kept, changed, moved, split, added, removed; ``max_abs_difference``:
        of its output on `images`, if the shapes are equal.
    """
    origins = {node.name: _origin(before, node) for node in after.nodes}
    above, above_now = _ancestors(before, {}), _ancestors(after, origins)
    met = set(origins.values())
    common = met & before.by_name.keys()
    fed = images if fed is None else fed
    differences = _differences(before, after, origins, images, fed)
    last_parts = {origin: name for name, origin in origins.items()}.values()
    entries = []
    for node in after.nodes:
        origin = origins[node.name]
        known = before.by_name.get(origin)
        status, difference = _status(known, node), None
        if known is not None and above[origin] & common != above_now[node.name] & common:
            status = "moved"
        elif known is not None:
            difference = differences.get(node.name)
        if status == "split" and node.name not in last_parts:
            difference = None  # only the last part has the outputs of the original layer
        entries.append(
            {
                "before": _entry(before, known),
                "after": _entry(after, node),
                "status": status,
                "max_abs_difference": difference,
            }
        )
    return entries + [
        {
            "before": _entry(before, node),
            "after": None,
            "status": "removed",
            "max_abs_difference": None,
        }
        for node in before.nodes
        if node.name not in met
    ]


def _origin(before, node):
    """Return the previous name of a layer: that of the layer it was split from, if any."""
    return node.split_from if node.split_from in before.by_name else node.name


def _ancestors(graph, origins) -> dict[str, frozenset[str]]:
    """Return the original names of all ancestors of each layer."""
    found: dict[str, frozenset[str]] = {}
    for node in graph.nodes:
        own = {origins.get(name, name) for name in node.inputs}
        found[node.name] = frozenset(own).union(*(found[name] for name in node.inputs))
        found[node.name] -= {origins.get(node.name, node.name)}
    return found


def _status(old, new):
    if old is None:
        return "added"
    if old.name != new.name:
        return "split"
    same_weights = old.weights.keys() == new.weights.keys() and all(
        np.array_equal(old.weights[key], new.weights[key]) for key in old.weights
    )
    # A batch norm's axis -1 and its positive form are both the channels.
    attrs = [{k: v for k, v in node.attrs.items() if k != "axis"} for node in (old, new)]
    return "kept" if old.op == new.op and attrs[0] == attrs[1] and same_weights else "changed"


def _entry(graph, node):
    if node is None:
        return None
    return {
        "name": node.name,
        "type": node.op,
        "shape": list(graph.shapes[node.name]),
        "parameters": node.parameters,
    }


def _differences(before, after, origins, images, fed) -> dict[str, float]:
    """Return differences of layers of equal origin and shape, on up to `LAYER_IMAGES` images."""
    size = sum(math.prod(shape) for shape in before.shapes.values())
    count = max(1, min(LAYER_IMAGES, MOST_VALUES // size))
    old, found = {}, {}

    def remember(name, values):
        old[name] = values

    def compare(name, values):
        known = old.get(origins[name])
        if known is not None and known.shape == values.shape:
            found[name] = float(np.max(np.abs(known - values), initial=0))

    forward(before, images[:count], probe=remember)
    forward(after, fed[:count], probe=compare)
    return found
