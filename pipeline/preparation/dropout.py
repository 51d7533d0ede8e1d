"""Remove dropouts, which do nothing in inference."""

from __future__ import annotations

from pipeline.graph.graph import Graph
from pipeline.preparation.editing import removed


def remove_dropout_before_batchnorm(graph: Graph) -> Graph:
    """Remove the dropouts that keep a batch norm from the layer it folds into."""
    return removed(
        graph,
        {
            node.name
            for node in graph.nodes
            if node.op == "Dropout"
            and (consumer := graph.sole_consumer(node))
            and consumer.op in ("BatchNormalization", "Dropout")
        },
    )


def remove_dropout(graph: Graph) -> Graph:
    """Remove all dropouts.

    This comes last because QuantizeML keeps them, and a dropout decides there whether an Add or
    Concatenate counts as followed by a convolution.
    """
    return removed(graph, {node.name for node in graph.nodes if node.op == "Dropout"})
