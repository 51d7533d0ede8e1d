"""Cut off what follows a classifier's logits."""

from __future__ import annotations

from pipeline.graph.graph import Graph

_ACTIVATIONS = ("softmax", "sigmoid")


def cut_head(graph: Graph) -> tuple[Graph, list[str]]:
    """Remove a softmax or sigmoid that ends the model, and whatever does not lead to the output.

    Returns
    -------
    Graph
        Its output are the logits.
    notes : list of str
        One line for each layer that was cut off.
    """
    notes = []
    while True:
        last = graph.node(graph.output)
        kind = last.attrs["activation"] if last.op == "Activation" else last.op.lower()
        if last.op not in ("Softmax", "Activation") or kind not in (*_ACTIVATIONS, "linear"):
            break
        if kind != "linear":
            notes.append(
                f"{last.name}: the final {kind} is left out, outputs are logits; apply it to them"
            )
        graph = graph.with_nodes(graph.nodes, last.inputs[0])
        graph = _reachable(graph)
    return graph, notes


def _reachable(graph):
    needed = {graph.output}
    for node in reversed(graph.nodes):
        if node.name in needed:
            needed.update(node.inputs)
    needed.add(graph.input.name)
    return graph.with_nodes(node for node in graph.nodes if node.name in needed)
