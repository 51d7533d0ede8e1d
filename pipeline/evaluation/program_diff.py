"""Compare two programs: layers, memory, operations, and outputs for the same images."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any

import numpy as np

from pipeline.data.labels import check_labels
from pipeline.errors import DataError
from pipeline.messages.saturation import counted, largest_share
from simulator import Program, simulate
from simulator.classes import classify
from simulator.layer import Layer
from simulator.statistics import Statistics
from simulator.widths import layer_widths

SIDES = ("a", "b")


def diff(
    a: Program, b: Program, images: np.ndarray | None = None, labels: np.ndarray | None = None
) -> dict[str, Any]:
    """Compare two programs, of the same or different chips.

    Parameters
    ----------
    a, b : Program
    images : array of shape (n, *input shape), optional
        Inputs of both programs.
    labels : int array of shape (n,), optional
        Classes of the images.

    Returns
    -------
    dict
        ``a`` and ``b``: figures of the whole programs. ``layers``: a mapping for each pair, with
        ``a`` and ``b`` (None if a program has no counterpart). ``agreement``: share of images for
        which both predict the same class. JSON values only; entries that need images or labels are
        omitted without them.

    Raises
    ------
    DataError
        If labels do not fit the images, or the outputs of the programs cannot be compared.
    ProgramError
        If a program does not take the images.
    """
    if labels is not None:
        labels = _checked(labels, images, a)
    rows = {side: [_row(layer) for layer in program.layers] for side, program in _both(a, b)}
    found: dict[str, Any] = {}
    predicted = []
    if images is not None and np.prod(a.output_shape) != np.prod(b.output_shape):
        raise DataError(
            f"outputs have shapes {a.output_shape} and {b.output_shape}; predictions can"
            " only be compared for the same classes (compare the programs without images)"
        )
    for side, program in _both(a, b):
        found[side] = _totals(program, rows[side])
        if images is not None:
            predicted.append(_run(program, images, labels, found[side], rows[side]))
    if predicted:
        found["images"] = len(images)
        found["agreement"] = float(np.mean(predicted[0] == predicted[1]))
    found["layers"] = [
        {
            "a": None if left is None else rows["a"][left],
            "b": None if right is None else rows["b"][right],
        }
        for left, right in pairs(
            [layer.name for layer in a.layers], [layer.name for layer in b.layers]
        )
    ]
    return found


def pairs(a: list[str], b: list[str]) -> Iterator[tuple[int | None, int | None]]:
    """Yield pairs of positions of corresponding layers; None for a layer without counterpart.

    Layers of the same name in the same order correspond. Between two such pairs a layer corresponds
    to the next one whose name contains its own (a fused layer to the first of those that replace
    it); the remaining ones are paired in order.
    """
    left = right = 0
    matches = SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()
    for start_a, start_b, size in matches:
        for position in range(left, start_a):
            related = (n for n in range(right, start_b) if _related(a[position], b[n]))
            found = next(related, None)
            if found is not None:
                yield from zip_longest(range(left, position), range(right, found))
                yield position, found
                left, right = position + 1, found + 1
        yield from zip_longest(range(left, start_a), range(right, start_b))
        yield from ((start_a + n, start_b + n) for n in range(size))
        left, right = start_a + size, start_b + size


def _related(a: str, b: str) -> bool:
    return a in b or b in a


def _both(a, b):
    return zip(SIDES, (a, b), strict=True)


def _row(layer: Layer) -> dict[str, Any]:
    weight_bits, output_bits = layer_widths(layer)
    return {
        "name": layer.name,
        "type": layer.type_label,
        "output_shape": [int(n) for n in layer.output_shape],
        "weight_bits": weight_bits,
        "output_bits": output_bits,
        "weight_bytes": int(layer.weight_bytes),
        "macs": int(layer.macs),
    }


def _totals(program: Program, rows: list[dict]) -> dict[str, Any]:
    return {
        "name": program.name,
        "target": program.target,
        "layers": len(rows),
        "weight_bytes": sum(row["weight_bytes"] for row in rows),
        "macs": sum(row["macs"] for row in rows),
        "limits": list(program.limits()),
    }


def _run(program, images, labels, totals, rows) -> np.ndarray:
    """Add the figures of a run to totals and rows; return the predicted class of each image."""
    statistics = Statistics(program)
    outputs = simulate(program, images, statistics=statistics)
    for row, figures in zip(rows, statistics.layers(), strict=True):
        row["output_sparsity"] = figures.output_sparsity
        row["effective_macs"] = figures.effective_macs
        row["saturated"] = sum(figures.saturated.values())
    totals["saturated_share"] = largest_share(counted(statistics))
    effective = sum(row["effective_macs"] for row in rows)
    totals["effective_macs"] = effective
    totals["sparsity"] = 1 - effective / totals["macs"] if totals["macs"] else 0.0
    classes = classify(outputs)
    if labels is not None:
        totals["accuracy"] = float(np.mean(classes == labels))
    return classes


def _checked(labels, images, program):
    if images is None:
        raise DataError("labels: belong to images, found none; give the images as well")
    outputs = int(np.prod(program.output_shape))
    return check_labels(labels, name="labels", images=len(images), outputs=outputs)
