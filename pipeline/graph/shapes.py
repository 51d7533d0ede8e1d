"""Output shape of every node of a graph."""

from __future__ import annotations

from pipeline.errors import LayerError
from pipeline.graph.operation import Shape


def infer_shapes(graph) -> dict[str, Shape]:
    """Return the output shape of every node of `graph`, without the batch dimension.

    Raises
    ------
    ModelError
        If a layer does not fit its input.
    """
    shapes: dict[str, Shape] = {}
    for node in graph.nodes:
        inputs = [shapes[source] for source in node.inputs]
        if node.operation.on_maps and len(inputs[0]) != 3:
            raise LayerError(
                node.name,
                f"{node.op} needs (height, width, channels), found {inputs[0]}; add a Reshape",
            )
        shapes[node.name] = node.operation.output_shape(node, *inputs)
    return shapes
