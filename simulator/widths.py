"""Table of the bit widths of a program's layers."""

from __future__ import annotations

from simulator.layer import Layer
from simulator.program import Program

HEAD = ("Layer", "Weight bits", "Output bits")
GAP = "  "


def layer_widths(layer: Layer) -> tuple[int | None, int | None]:
    """Return the widths of a layer's weights and output; None where it has none."""
    traits = layer.traits()
    return traits.get("weight_bits"), traits.get("output_bits")


def widths_table(program: Program) -> str:
    """Return a line for each layer that has weights, or requantizes its output."""
    rows = [
        (layer.name, *("-" if bits is None else str(bits) for bits in layer_widths(layer)))
        for layer in program.layers
        if layer_widths(layer) != (None, None)
    ]
    rows = [HEAD, *rows]
    columns = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        GAP.join(cell.ljust(width) for cell, width in zip(row, columns, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join(lines) + "\n"
