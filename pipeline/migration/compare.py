"""How far two float models are apart: at their outputs, and layer by layer."""

from __future__ import annotations

import numpy as np

from pipeline.accuracy import classify
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.preparation.head import cut_head
from pipeline.transforms.sequence import TOLERANCE

EXACT, NOISE, APPROXIMATE = "exact", "float noise", "approximate"
"""Equivalence classes: no bit differs; only the order of float32 sums; another function."""
CLASSES = (EXACT, NOISE, APPROXIMATE)
LAYER_IMAGES = 8
"""Images on which single layers are compared."""


def equivalence(difference: float, largest: float, equivalent: bool) -> str:
    """Return the class of a change.

    Parameters
    ----------
    difference, largest : float
        Largest change of an output, and largest output.
    equivalent : bool
        Whether the change is meant to keep the function.
    """
    if not equivalent or not difference <= TOLERANCE * max(largest, 1.0):
        return APPROXIMATE
    return EXACT if difference == 0 else NOISE


def outputs_of(graph: Graph, images: np.ndarray) -> np.ndarray:
    """Return a model's outputs before its final softmax or sigmoid, which hides differences."""
    return forward(cut_head(graph)[0], images)


def compare_outputs(before: np.ndarray, after: np.ndarray, labels=None) -> dict:
    """Return differences of two models' outputs on the same images as JSON values."""
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


def compare_layers(before: Graph, after: Graph, images: np.ndarray) -> list[dict]:
    """Return one entry for each layer of either model, in the order of the new one.

    Returns
    -------
    list of dict
        ``before`` and ``after``: name, type, output shape and parameters, or None where a model
        lacks the layer; ``status``: kept, changed, split, added, removed;
        ``max_abs_difference``: of its output on `images`, where both have it in one shape.
    """
    images = images[:LAYER_IMAGES]
    old, new = _values(before, images), _values(after, images)
    entries, met = [], set()
    for node in after.nodes:
        origin, split = node.name, False
        if origin not in before.by_name and node.name[:3] in ("dw_", "pw_"):
            origin, split = node.name[3:], node.name[3:] in before.by_name
        known = before.by_name.get(origin)
        met.add(origin)
        compared = known is not None and not (split and node.name.startswith("dw_"))
        difference = None
        if compared and old[origin].shape == new[node.name].shape:
            difference = float(np.max(np.abs(old[origin] - new[node.name]), initial=0))
        entries.append(
            {
                "before": _entry(before, known),
                "after": _entry(after, node),
                "status": _status(known, node, split),
                "max_abs_difference": difference,
            }
        )
    for node in before.nodes:
        if node.name not in met:
            entries.append(
                {
                    "before": _entry(before, node),
                    "after": None,
                    "status": "removed",
                    "max_abs_difference": None,
                }
            )
    return entries


def _status(old, new, split):
    if old is None:
        return "added"
    if split:
        return "split"
    same_weights = old.weights.keys() == new.weights.keys() and all(
        np.array_equal(old.weights[key], new.weights[key]) for key in old.weights
    )
    # The axis of a batch norm says nothing when both mean the channels.
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


def _values(graph, images):
    values = {}
    forward(graph, images, probe=lambda name, array: values.setdefault(name, array))
    return values
