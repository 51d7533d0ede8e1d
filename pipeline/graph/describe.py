"""The layer table of a float model, like Keras' ``summary`` with a column of MACs."""

from __future__ import annotations

from typing import Any

from pipeline.graph.graph import Graph
from pipeline.graph.macs import count_macs

HEADER = ("Layer (type)", "Output Shape", "Param #", "MACs")
WIDTH = 100
GAP = 2
CUT = "…"


def describe(graph: Graph) -> str:
    """Return a table of the layers of `graph`: name and type, shape, parameters, MACs.

    The last lines give the number of total, trainable and non-trainable parameters, with their size
    in float32, and the multiply-accumulates of one image. Lines have at most 100 characters; names
    that do not fit are shortened in the middle.
    """
    macs = count_macs(graph)
    rows = [HEADER]
    for node in graph.nodes:
        shape = ", ".join(("None", *map(str, graph.shapes[node.name])))
        shape = f"[({shape})]" if node.op == "Input" else f"({shape})"
        op = "InputLayer" if node.op == "Input" else node.op
        count = str(macs[node.name]) if node.name in macs else ""
        rows.append((f"{node.name} ({op})", shape, str(node.parameters), count))
    widths = [max(len(row[column]) for row in rows) + GAP for column in range(len(HEADER))]
    widths[0] = min(widths[0], WIDTH - sum(widths[1:]))
    lines = [
        "".join(_cut(text, w - GAP).ljust(w) for text, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    total, frozen = graph.parameters, non_trainable(graph)
    return "\n".join(
        [
            f'Model: "{graph.name}"',
            "_" * sum(widths),
            lines[0],
            "=" * sum(widths),
            *lines[1:],
            "=" * sum(widths),
            f"Total params: {total} ({_size(total)})",
            f"Trainable params: {total - frozen} ({_size(total - frozen)})",
            f"Non-trainable params: {frozen} ({_size(frozen)})",
            f"MACs per image: {sum(macs.values())}",
            "_" * sum(widths),
        ]
    )


def layer_table(graph: Graph) -> dict[str, Any]:
    """Return the content of `describe` as JSON values.

    Returns
    -------
    dict
        ``name``, ``input_shape``, ``output_shape``, ``parameters``, ``trainable_parameters``,
        ``macs`` and ``layers``, one mapping each with ``name``, ``type``, ``inputs``,
        ``output_shape``, ``parameters`` and ``macs``. Shapes are without the batch.
    """
    macs = count_macs(graph)
    return {
        "name": graph.name,
        "input_shape": list(graph.shapes[graph.input.name]),
        "output_shape": list(graph.shapes[graph.output]),
        "parameters": graph.parameters,
        "trainable_parameters": graph.parameters - non_trainable(graph),
        "macs": sum(macs.values()),
        "layers": [
            {
                "name": node.name,
                "type": node.op,
                "inputs": list(node.inputs),
                "output_shape": list(graph.shapes[node.name]),
                "parameters": node.parameters,
                "macs": macs.get(node.name, 0),
            }
            for node in graph.nodes
        ],
    }


def non_trainable(graph: Graph) -> int:
    """Return the number of weight values that gradient training does not update."""
    return sum(node.weights[key].size for node in graph.nodes for key in node.operation.measured)


def _cut(text: str, width: int) -> str:
    if len(text) <= width:
        return text
    kept = max(width - len(CUT), 0)
    return text[: kept - kept // 2] + CUT + text[len(text) - kept // 2 :]


def _size(values: int) -> str:
    size, units = 4.0 * values, ["Byte", "KB", "MB", "GB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{size:.2f} {units[0]}"
