"""The result of a transform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.graph.graph import Graph
from pipeline.transforms.feeding import AS_THEY_ARE, Feeding


@dataclass(frozen=True, eq=False, kw_only=True)
class Rewrite:
    """A rewritten graph, and a description of the changes.

    Attributes
    ----------
    graph : Graph
    changed : tuple of str
        The layers that the transform addressed, by their previous names. They cannot be derived by
        comparing graphs: folding a batch norm also changes its neighbour.
    equivalent : bool
        True if the new graph computes the same as the old one, up to float rounding.
    calibrated : bool
        True if it does so only where values stay in the range of the images that it measured.
    feeding : Feeding
        How to change images for the new graph, where it takes another shape.
    details : mapping
        Further figures of the transform; JSON values.
    """

    graph: Graph
    changed: tuple[str, ...]
    equivalent: bool = True
    calibrated: bool = False
    feeding: Feeding = AS_THEY_ARE
    details: Mapping[str, Any] = field(default_factory=dict)
