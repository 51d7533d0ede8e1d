"""Remove dropouts, which are the identity in inference."""

from __future__ import annotations

from pipeline.graph.graph import Graph
from pipeline.preparation.editing import removed


def remove_dropout_before_batchnorm(graph: Graph) -> Graph:
    """Remove the dropouts between a batch norm and the layer into which it folds."""
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

    This pass is last because QuantizeML keeps dropouts, and there a dropout determines whether an
    Add or Concatenate counts as followed by a convolution.
    """
    return removed(graph, {node.name for node in graph.nodes if node.op == "Dropout"})
