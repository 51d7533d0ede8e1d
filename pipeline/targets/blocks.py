"""Group the nodes of an integer model into blocks: one neural node and what follows it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.quantization.quantized_graph import QuantizedGraph, QuantizedNode
from simulator.windows import output_length, same_padding

TRANSPARENT = ("Input", "Rescaling", "Dropout", "Flatten", "Reshape")
"""Nodes that are no layer: they change no value, only what it means or its shape."""

Order = Mapping[str, int]
"""Tail operations (those that a chip computes together with the layer before them) to their turn;
of each turn a layer has one at most."""

POOL = "GlobalAveragePooling2D"
CURES = {
    (POOL, "ReLU"): "add transform gap_after_relu (transforms=upgrade_v2)",
    (POOL, "Activation"): "add transform gap_after_relu (transforms=upgrade_v2)",
    ("ReLU", POOL): "add transform gap_before_activation",
}
"""Two operations in an order that a chip does not have, to the transform that changes it."""


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


def pool_padding(block: Block, pool: QuantizedNode) -> str:
    """Return the padding of a max pool, as its convolution's wherever both mean the same.

    A chip has one padding for both. On maps that the windows cover exactly nothing is padded, and
    "same" and "valid" are one.
    """
    size = pool.attrs["pool_size"]
    strides = pool.attrs["strides"] or size
    shape = block.head.shape[:2]
    exact = all(
        same_padding(n, k, s) == (0, 0)
        and output_length(n, k, s, "same") == output_length(n, k, s, "valid")
        for n, k, s in zip(shape, size, strides, strict=True)
    )
    return block.head.attrs.get("padding", "same") if exact else pool.attrs["padding"]


def blocks(graph: QuantizedGraph, order: Order) -> tuple[list[Block], list[str]]:
    """Return the blocks of a model in order, and a reason for every node that fits in none."""
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
        if node.op in order:
            block = owner[node.inputs[0]]
            reason = _refusal(node, block, between[node.inputs[0]], readers, order)
            if reason is None:
                block.tail.append(node)
                owner[node.name] = block
                continue
            reasons.append(reason)
        block = Block(node)
        block.sources = [(owner[name], between[name]) for name in node.inputs]
        owner[node.name] = block
        if node.op not in order:
            found.append(block)
    return found, reasons


def _refusal(node, block, between, readers, order) -> str | None:
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
    before = [earlier for earlier in block.tail if order[earlier.op] >= order[node.op]]
    # A maximum commutes with the monotone steps before it, so the pool may move ahead of them.
    movable = node.op == "MaxPooling2D" and all(earlier.op == "ReLU" for earlier in before)
    if before and not movable:
        names = ", ".join(f"{earlier.op} {earlier.name}" for earlier in before)
        turns = " > ".join(sorted(dict.fromkeys(order), key=order.get))
        cures = (CURES.get((earlier.op, node.op)) for earlier in before)
        cure = next((f"; {known}" for known in cures if known), "")
        return f"{what} after {names}; a layer takes {turns}, one of each turn, in this order{cure}"
    requantized = "output_shift" in block.last.registers
    # The index of a look-up table is requantized by design.
    if requantized and node.op in ("ReLU", "GlobalAveragePooling2D"):
        return f"{what} on the quantized output of {block.last.name}; put a Conv2D between"
    return None
