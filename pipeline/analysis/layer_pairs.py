"""Pairs of layers of two models whose outputs are compared."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeline.analysis.outputs import Outputs

Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class LayerPair:
    """A layer of each model.

    Attributes
    ----------
    a, b : str
        Names in each model.
    type : str
    is_output : bool
        True if both are outputs of their models.
    """

    a: str
    b: str
    type: str
    is_output: bool

    @property
    def name(self) -> str:
        """What both are called."""
        return self.a if self.a == self.b else f"{self.a} / {self.b}"

    def fits(self, a: Shape, b: Shape) -> bool:
        """Return True if values of two shapes correspond in their order.

        Axes of one entry do not count, and one side may be flat. Outputs only have to be of one
        size, since a migration leaves a Reshape at the end to the host.
        """
        if math.prod(a) != math.prod(b):
            return False
        a, b = (tuple(size for size in shape if size > 1) for shape in (a, b))
        return a == b or self.is_output or min(len(a), len(b)) <= 1


def layer_pairs(a: Outputs, b: Outputs) -> list[LayerPair]:
    """Return the layers of one name, and the outputs that each model calls differently.

    Parameters
    ----------
    a, b : Outputs
        In the order of `a`; outputs of two names come last.
    """
    same = len(a.outputs) == len(b.outputs)
    ends = dict(zip(a.outputs, b.outputs, strict=True)) if same else {}
    named = [(name, name) for name in a.layers if name in b.layers]
    renamed = [(one, other) for one, other in ends.items() if one != other]
    return [
        LayerPair(
            a=one,
            b=other,
            type=a.layers[one] or b.layers[other],
            is_output=ends.get(one) == other,
        )
        for one, other in (*named, *renamed)
    ]
