"""The layer table of a float model, in the manner of Keras' ``summary``."""

from __future__ import annotations

from pipeline.graph.graph import Graph

FROZEN = ("moving_mean", "moving_variance")
GAP = 2


def describe(graph: Graph) -> str:
    """Return a table of the layers of `graph`: name and type, output shape, parameters.

    Below it stand the numbers of all, of trainable and of non-trainable parameters, with their
    size as float32.
    """
    rows = [("Layer (type)", "Output Shape", "Param #")]
    for node in graph.nodes:
        shape = ", ".join(("None", *map(str, graph.shapes[node.name])))
        shape = f"[({shape})]" if node.op == "Input" else f"({shape})"
        op = "InputLayer" if node.op == "Input" else node.op
        rows.append((f"{node.name} ({op})", shape, str(node.parameters)))
    widths = [max(len(row[column]) for row in rows) + GAP for column in range(3)]
    lines = ["".join(text.ljust(w) for text, w in zip(row, widths, strict=True)) for row in rows]
    lines = [line.rstrip() for line in lines]
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
            "_" * sum(widths),
        ]
    )


def non_trainable(graph: Graph) -> int:
    """Return the number of weight values that training by gradient does not touch."""
    return sum(
        node.weights[key].size for node in graph.nodes for key in FROZEN if key in node.weights
    )


def _size(values: int) -> str:
    size, units = 4.0 * values, ["Byte", "KB", "MB", "GB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{size:.2f} {units[0]}"
