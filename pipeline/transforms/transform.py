"""One row of the table of transforms."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.graph.graph import Graph
from pipeline.transforms.images import Images
from pipeline.transforms.rewrite import Rewrite

EQUIVALENT = "equivalent"
APPROXIMATE = "approximate"
CALIBRATED = "equivalent on the calibrated range"
BY_STRATEGY = "as `transforms.gap.strategy` says"
"""Outputs stay the same: always, never, while values stay in a measured range, or by the user's
choice."""


@dataclass(frozen=True, eq=False)
class Transform:
    """A transform, and what users and other modules need to know about it.

    Attributes
    ----------
    function : function of Graph to Rewrite
        Its name is the transform's. With `needs` it takes (graph, options, images) instead:
        the section ``transforms`` of the configuration and `Images`, both None for defaults.
    equivalence : str
        `EQUIVALENT`, `APPROXIMATE`, `CALIBRATED` or `BY_STRATEGY`.
    needs : tuple of {"images", "labels", "training"}
        What it may use besides the graph.
    repairs : tuple of str
        Rules and limits of chips that it may repair. Each chip names the transforms it uses.
    """

    function: Callable[..., Rewrite]
    equivalence: str = EQUIVALENT
    needs: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name in the configuration, in reports and in certificates."""
        return self.function.__name__

    @property
    def sentence(self) -> str:
        """What it does, for users: the first paragraph of the function's docstring."""
        return " ".join(inspect.getdoc(self.function).split("\n\n")[0].split())

    def __call__(self, graph: Graph, options: Any = None, images: Images | None = None) -> Rewrite:
        """Return the rewritten graph, and which layers changed."""
        return self.function(graph, options, images) if self.needs else self.function(graph)
