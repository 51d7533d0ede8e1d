"""The layer table of an integer model, with the bit widths of weights and outputs."""

from __future__ import annotations

from typing import Any

from pipeline.quantization.quantized_graph import QuantizedGraph, QuantizedNode

HEADER = ("Layer (type)", "Output Shape", "Weight bits", "Output bits")
LONGEST = 60
CUT = "…"


def describe_quantized(graph: QuantizedGraph) -> str:
    """Return a table of the layers of an integer model, at most 100 columns wide."""
    rows = [HEADER]
    for node in graph.nodes:
        shape = ", ".join(("None", *map(str, node.shape)))
        rows.append((_cut(f"{node.name} ({node.op})"), f"({shape})", *map(_text, widths(node))))
    columns = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, columns, strict=True)).rstrip()
        for row in rows
    ]
    rule = "=" * (sum(columns) + 2 * len(columns) - 2)
    return "\n".join([f'Model: "{graph.name}" (scheme {graph.scheme})', lines[0], rule, *lines[1:]])


def quantized_table(graph: QuantizedGraph) -> dict[str, Any]:
    """Return the content of `describe_quantized` as JSON values."""
    layers = []
    for node in graph.nodes:
        weights, output = widths(node)
        entry = {"name": node.name, "type": node.op, "inputs": list(node.inputs)}
        entry |= {"output_shape": list(node.shape), "weight_bits": weights, "output_bits": output}
        layers.append(entry)
    return {"name": graph.name, "scheme": graph.scheme, "layers": layers}


def widths(node: QuantizedNode) -> tuple[int | None, int | None]:
    """Return the widths of a node's weights and output; None where it has none."""
    return node.bits.get("weights"), node.bits.get("output")


def _text(bits: int | None) -> str:
    return "-" if bits is None else str(bits)


def _cut(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    kept = LONGEST - len(CUT)
    return text[: kept - kept // 2] + CUT + text[len(text) - kept // 2 :]
