"""Cut off the layers after the logits of each output."""

from __future__ import annotations

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.graph.traits import KEEPS_VALUES
from pipeline.messages.notes import LEFT_TO_HOST, Note
from pipeline.preparation.editing import removed

_ACTIVATIONS = ("softmax", "sigmoid")


def cut_head(graph: Graph) -> tuple[Graph, list[Note]]:
    """Remove a final softmax or sigmoid of each output, and layers that do not lead to an output.

    A Reshape or Flatten after it that only adds or removes dimensions of 1 is kept.

    Returns
    -------
    Graph
        With logits as outputs.
    notes : list of Note
        One for each layer that was cut off.
    """
    notes = []
    while (
        last := next(filter(None, (_final(graph, end) for end in graph.ends)), None)
    ) is not None:
        if (kind := _kind(last)) != "linear":
            text = (
                f"{last.name}: the final {kind} is left out, outputs are logits; apply it to them"
            )
            notes.append(Note(kind=LEFT_TO_HOST, layers=(last.name,), text=text))
        graph = _reachable(removed(graph, {last.name}))
    return graph, notes


def _final(graph: Graph, node: Node) -> Node | None:
    """Return the activation of an output that can be cut off: nothing else reads it."""
    while _is_single(graph, node) and node.op in KEEPS_VALUES and _keeps_shape(graph, node):
        node = graph.node(node.inputs[0])
    if not _is_single(graph, node) or _kind(node) not in (*_ACTIVATIONS, "linear"):
        return None
    # An output of its own may be what the activation reads.
    return None if node.inputs[0] in {end.name for end in graph.ends} else node


def _is_single(graph, node):
    return node.name == graph.output or graph.sole_consumer(node) is not None


def _kind(node):
    if node.op not in ("Softmax", "Activation"):
        return None
    return node.attrs["activation"] if node.op == "Activation" else node.op.lower()


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
