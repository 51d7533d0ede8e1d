"""Cut off the layers after a classifier's logits."""

from __future__ import annotations

from pipeline.graph.graph import Graph
from pipeline.graph.traits import KEEPS_VALUES
from pipeline.messages.notes import LEFT_TO_HOST, Note
from pipeline.preparation.editing import removed

_ACTIVATIONS = ("softmax", "sigmoid")


def cut_head(graph: Graph) -> tuple[Graph, list[Note]]:
    """Remove a final softmax or sigmoid, and layers that do not lead to the output.

    A Reshape or Flatten after it that only adds or removes dimensions of 1 is kept.

    Returns
    -------
    Graph
        With the logits as output.
    notes : list of Note
        One for each layer that was cut off.
    """
    notes = []
    while True:
        last = graph.node(graph.output)
        while last.op in KEEPS_VALUES and _keeps_shape(graph, last):
            last = graph.node(last.inputs[0])
        kind = last.attrs["activation"] if last.op == "Activation" else last.op.lower()
        if last.op not in ("Softmax", "Activation") or kind not in (*_ACTIVATIONS, "linear"):
            break
        if last.name != graph.output and graph.sole_consumer(last) is None:
            break
        if kind != "linear":
            text = (
                f"{last.name}: the final {kind} is left out, outputs are logits; apply it to them"
            )
            notes.append(Note(kind=LEFT_TO_HOST, layers=(last.name,), text=text))
        graph = _reachable(removed(graph, {last.name}))
    return graph, notes


def _keeps_shape(graph, node):
    before, after = (graph.shapes[name] for name in (node.inputs[0], node.name))
    return [n for n in before if n != 1] == [n for n in after if n != 1]


def _reachable(graph):
    needed = {graph.output}
    for node in reversed(graph.nodes):
        if node.name in needed:
            needed.update(node.inputs)
    needed.add(graph.input.name)
    return graph.with_nodes(node for node in graph.nodes if node.name in needed)
