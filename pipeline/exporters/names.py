"""Names of layers that Keras accepts."""

from __future__ import annotations

from dataclasses import replace

from pipeline.graph.graph import Graph
from pipeline.graph.keras_io import accepted_name, keras_names

VERSIONS = {".h5": 2, ".keras": 3}
"""Major version of Keras by suffix of the file."""
SHOWN = 3


def renamed_for_keras(graph: Graph, version: int) -> Graph:
    """Return `graph` with names that Keras of a major `version` accepts.

    In Keras 3 ``/`` becomes ``__``. Other characters become ``_``, and names start with a letter,
    a digit or a dot.
    """
    names = keras_names(graph, version)
    nodes = (
        replace(node, name=names[node.name], inputs=[names[source] for source in node.inputs])
        for node in graph.nodes
    )
    renamed = graph.with_nodes(nodes, names[graph.output])
    return replace(renamed, name=accepted_name(graph.name, version))


def renaming_note(graph: Graph, suffix: str) -> str | None:
    """Return a line on the layers that are renamed in a file; None if there are none.

    Parameters
    ----------
    graph : Graph
    suffix : str
        Suffix of the file; formats that are not in `VERSIONS` rename nothing.
    """
    if suffix not in VERSIONS:
        return None
    names = keras_names(graph, VERSIONS[suffix])
    changed = [f"{old} is {new}" for old, new in names.items() if old != new]
    if not changed:
        return None
    more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
    return f"renamed in the file, since Keras refuses the names: {', '.join(changed[:SHOWN])}{more}"
