"""What a transform hands back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.graph.graph import Graph


@dataclass(frozen=True, eq=False, kw_only=True)
class Rewrite:
    """A rewritten graph and what was done to it.

    Attributes
    ----------
    graph : Graph
    changed : tuple of str
        Names of the layers that were rewritten, as they were called before.
    equivalent : bool
        Whether the new graph computes the same as the old one, up to float rounding.
    details : mapping
        What else the transform has to report; JSON values.
    """

    graph: Graph
    changed: tuple[str, ...]
    equivalent: bool = True
    details: Mapping[str, Any] = field(default_factory=dict)
