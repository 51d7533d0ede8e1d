"""What each block of an analysis costs on a chip."""

from __future__ import annotations

from dataclasses import dataclass

from simulator import Program


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """Memory and work of a layer of a program.

    Attributes
    ----------
    weight_bytes, macs : int
    """

    weight_bytes: int
    macs: int


def layer_costs(program: Program) -> dict[str, LayerCost]:
    """Return the costs by layer, which has the name of the block that it computes."""
    return {
        layer.name: LayerCost(weight_bytes=layer.weight_bytes, macs=layer.macs)
        for layer in program.layers
    }
