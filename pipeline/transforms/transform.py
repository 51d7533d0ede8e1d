"""A row of the table of transforms."""

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
BY_STRATEGY = "depends on `transforms.gap.strategy`"
"""Whether outputs are unchanged: always, never, while values stay in a measured range, or
depending on the strategy."""


@dataclass(frozen=True, eq=False)
class Transform:
    """A transform and its properties.

    Attributes
    ----------
    function : function of Graph to Rewrite
        It has the transform's name. With `needs` its arguments are (graph, options, images): the
        section ``transforms`` of the configuration and `Images`, both None for defaults.
    equivalence : str
        `EQUIVALENT`, `APPROXIMATE`, `CALIBRATED` or `BY_STRATEGY`.
    needs : tuple of {"images", "labels", "training"}
        Inputs that it may use besides the graph.
    repairs : tuple of str
        Rules and limits of chips that it may repair. Each chip lists the transforms it uses.
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
        """Description for users: the first paragraph of the function's docstring."""
        return " ".join(inspect.getdoc(self.function).split("\n\n")[0].split())

    def __call__(self, graph: Graph, options: Any = None, images: Images | None = None) -> Rewrite:
        """Return the rewritten graph and the changed layers."""
        return self.function(graph, options, images) if self.needs else self.function(graph)
