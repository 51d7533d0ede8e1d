"""Group the nodes of an integer model into blocks: one neural node and what follows it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from pipeline.quantization.quantized_graph import QuantizedGraph, QuantizedNode

TRANSPARENT = ("Input", "Rescaling", "Dropout", "Flatten", "Reshape")
"""Nodes that are no layer: they change no value, only what it means or its shape."""

TAIL = ("MaxPooling2D", "ReLU", "Activation", "GlobalAveragePooling2D")
"""Nodes that a chip computes together with the layer before them."""


@dataclass(eq=False)
class Block:
    """A head node and the tail nodes that its layer absorbs.

    Attributes
    ----------
    head : QuantizedNode
    tail : list of QuantizedNode
        In graph order.
    sources : list of (Block or None, list of QuantizedNode)
        For each input of the head, the block that feeds it (None: the model's input) and the
        transparent nodes between.
    """

    head: QuantizedNode
    tail: list[QuantizedNode] = field(default_factory=list)
    sources: list[tuple[Block | None, list[QuantizedNode]]] = field(default_factory=list)

    @property
    def last(self) -> QuantizedNode:
        """The node whose value is the block's output."""
        return self.tail[-1] if self.tail else self.head

    def tail_node(self, op: str) -> QuantizedNode | None:
        """Return the tail node of type `op`, if there is one."""
        return next((node for node in self.tail if node.op == op), None)


def blocks(graph: QuantizedGraph) -> tuple[list[Block], list[str]]:
    """Return the blocks of a model in order, and a reason for every node that fits in none."""
    by_name = {node.name: node for node in graph.nodes}
    readers: dict[str, int] = defaultdict(int)
    for node in graph.nodes:
        for name in node.inputs:
            readers[name] += 1
    owner: dict[str, Block | None] = {}
    between: dict[str, list[QuantizedNode]] = {}
    found: list[Block] = []
    reasons: list[str] = []
    for node in graph.nodes:
        if node.op in TRANSPARENT:
            source = node.inputs[0] if node.inputs else None
            owner[node.name] = owner[source] if source else None
            between[node.name] = [*between[source], node] if source else []
            continue
        between[node.name] = []
        if node.op in TAIL:
            block = owner[node.inputs[0]]
            reason = _refusal(node, block, between[node.inputs[0]], readers, by_name)
            if reason is None:
                block.tail.append(node)
                owner[node.name] = block
                continue
            reasons.append(reason)
        block = Block(node)
        block.sources = [(owner[name], between[name]) for name in node.inputs]
        owner[node.name] = block
        if node.op not in TAIL:
            found.append(block)
    return found, reasons


def _refusal(node, block, between, readers, by_name) -> str | None:
    """Return why `node` cannot join `block`, or None."""
    what = f"{node.name}: {node.op}"
    if block is None:
        return f"{what} on the model's input; put a convolution before it"
    if block.head.op in ("Concatenate", "Quantizer", "InputData"):
        return f"{what} directly after {block.head.op} {block.head.name}; put a 1x1 Conv2D between"
    if any(step.op != "Dropout" for step in between):
        return f"{what} after a {between[-1].op}; move it before the {between[-1].op}"
    shared = [name for name in (block.last.name, *(s.name for s in between)) if readers[name] > 1]
    if shared:
        return (
            f"{what} reads {shared[0]}, which other layers read too; give it an identity Conv2D of"
            " its own"
        )
    if block.tail_node(node.op) is not None or block.tail_node("GlobalAveragePooling2D"):
        return f"{what} follows another {block.last.op} ({block.last.name}); put a Conv2D between"
    activation = block.tail_node("ReLU") or block.tail_node("Activation")
    if node.op in ("ReLU", "Activation") and activation is not None:
        return f"{what} follows activation {activation.name}; remove one of them"
    if node.op == "MaxPooling2D" and block.tail_node("Activation") is not None:
        return (
            f"{what} after activation {block.last.name}, which may not keep order; pool before it"
        )
    requantized = "output_shift" in block.last.registers
    # A maximum commutes with the monotone steps before it, so the pool may move ahead of them;
    # the index of a look-up table is requantized by design.
    if requantized and node.op in ("ReLU", "GlobalAveragePooling2D"):
        return f"{what} on the quantized output of {block.last.name}; put a Conv2D between"
    return None
