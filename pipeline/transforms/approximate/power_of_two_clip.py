"""Clip ReLU at a power of two, which uses the whole integer range."""

from __future__ import annotations

import math

import numpy as np

from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.transforms.rewrite import Rewrite

MEASURED = 256
"""Number of images on which shares are counted."""


def power_of_two_clip(graph: Graph, options=None, images=None) -> Rewrite:
    """Raise the maximum of bounded ReLUs, such as ReLU6, to the next power of two.

    With 4 bits and a maximum of 6, the levels above 6 are unused because steps are powers of two.
    Values above the old maximum change: their share is reported as ``clipped_share``, the share
    above the new maximum as ``clipped_share_after``.

    Parameters
    ----------
    graph : Graph
    options
        Not used.
    images : Images, optional
        Images on which the shares are counted.
    """
    changed = []

    def split(node):
        maximum = node.attrs.get("max_value") if node.op == "ReLU" else None
        if not maximum or math.log2(maximum).is_integer():
            return None
        changed.append(node.name)
        return [node.with_attrs(max_value=float(2 ** math.ceil(math.log2(maximum))))]

    new, details = graph.rewrite(split), {}
    if images is not None and changed:
        sample = images.images[:MEASURED]
        details["clipped_share"] = clipped_share(graph, sample, changed)
        details["clipped_share_after"] = clipped_share(new, sample, changed)
    return Rewrite(graph=new, changed=tuple(changed), equivalent=not changed, details=details)


def clipped_share(graph: Graph, images: np.ndarray, names) -> dict[str, float]:
    """Return the share of values at or above the maximum of bounded ReLUs, by name.

    Parameters
    ----------
    graph : Graph
    images : array of shape (n, *input shape)
    names : names of ReLUs with a maximum
    """
    bounded = {name: graph.node(name).attrs["max_value"] for name in names}
    clipped, total = dict.fromkeys(bounded, 0), dict.fromkeys(bounded, 0)

    def probe(name, values):
        if name in bounded:
            clipped[name] += int(np.count_nonzero(values >= np.float32(bounded[name])))
            total[name] += values.size

    forward(graph, images, probe=probe)
    return {name: clipped[name] / max(total[name], 1) for name in bounded}
