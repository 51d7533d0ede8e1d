"""Check that images have the scale that a float model expects."""

from __future__ import annotations

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.messages.notes import INPUT, WARNING, Note
from simulator.image_scale import InputRange, pixels, range_problem

IN_PLACE = ("Dropout", "Reshape", "ZeroPadding2D")
"""Operations that keep the scale, between the input and its Rescaling."""
DIVIDES, MULTIPLIES = 0.2, 64
"""A smaller Rescaling scales pixels to about 1; a larger one scales numbers up to 1 to pixels."""
MOST_IMAGES = 512


def expected_range(graph: Graph) -> InputRange | None:
    """Return the range of images that a model expects; None if it is unknown.

    It follows from a Rescaling, since models compute with numbers of about 1 or with pixels;
    otherwise from an 8-bit input type.
    """
    node = graph.sole_consumer(graph.input)
    while node is not None and node.op in IN_PLACE:
        node = graph.sole_consumer(node)
    found = _rescaled(node) if node is not None and node.op == "Rescaling" else None
    return pixels(graph.input.attrs["dtype"]) or found


def input_notes(images, expected: InputRange | None, what: str) -> tuple[Note, ...]:
    """Return a warning if images do not have the expected scale.

    Parameters
    ----------
    images : array of shape (n, ...), or StoredImages
        At most `MOST_IMAGES`, evenly spread, are examined.
    expected : InputRange or None
    what : str
        What to call the images.
    """
    some = images[:: -(-len(images) // MOST_IMAGES) or 1]
    problem = range_problem(some, expected)
    if problem is None:
        return ()
    return (Note(kind=INPUT, level=WARNING, text=f"{what}: found {problem}"),)


def _rescaled(node: Node) -> InputRange | None:
    scale, offset = (np.asarray(node.attrs[key], np.float64) for key in ("scale", "offset"))
    smallest, largest = np.abs(scale).min(), np.abs(scale).max()
    if smallest >= MULTIPLIES:
        low, high = 0.0, 1.0
    elif smallest > 0 and largest <= DIVIDES:
        # The inputs that the Rescaling maps to 0 and to 1.
        ends = np.stack(np.broadcast_arrays(-offset / scale, (1 - offset) / scale))
        low, high = min(0.0, float(ends.min())), float(ends.max())
    else:
        return None
    return InputRange(low=low, high=high, clips=False, source=f"what {node.name} expects")
