"""Names of layers that every Keras accepts."""

from __future__ import annotations

from dataclasses import replace

from pipeline.graph.graph import Graph
from pipeline.graph.keras_io import accepted_name, keras_names

SHOWN = 3


def renamed_for_keras(graph: Graph) -> Graph:
    """Return `graph` under names that tf_keras and Keras 3 accept.

    ``/`` becomes ``__``, other characters ``_``; names start with a letter, a digit or a dot.
    """
    names = keras_names(graph)
    nodes = (
        replace(node, name=names[node.name], inputs=[names[source] for source in node.inputs])
        for node in graph.nodes
    )
    renamed = graph.with_nodes(nodes, names[graph.output])
    return replace(renamed, name=accepted_name(graph.name))


def renaming_note(graph: Graph) -> str | None:
    """Return one line on the layers that `renamed_for_keras` renames; None where there are none."""
    changed = [f"{old} is {new}" for old, new in keras_names(graph).items() if old != new]
    if not changed:
        return None
    more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
    return f"renamed in the file, since Keras refuses the names: {', '.join(changed[:SHOWN])}{more}"
