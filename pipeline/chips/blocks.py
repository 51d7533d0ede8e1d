"""Cut float and integer graphs into blocks: layers with the pooling and activations after them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from pipeline.graph.traits import JOINS, KEEPS_VALUES, NEURAL
from simulator.facts import LayerFacts
from simulator.limit import size
from simulator.windows import output_length, same_padding

__all__ = ["Block", "View", "layer_facts", "pool_padding", "shape3d", "size"]

HEADS = (*NEURAL, *JOINS)
TAIL = ("MaxPooling2D", "ReLU", "Activation", "GlobalAveragePooling2D")
VALUE_PRESERVING = (*KEEPS_VALUES, "Rescaling")
"""Operations that keep every value, or change only its unit."""
QUANTIZERS = ("Quantizer", "Dequantizer")
"""Operations at the ends of integer graphs, which float graphs lack."""
ENDS = ("Dequantizer", "Outputs")
"""Operations that end a model, and that the host computes."""


@dataclass(frozen=True, eq=False)
class Block:
    """A neural layer or join, with the operations that a chip computes in the same layer.

    Attributes
    ----------
    head : Node or QuantizedNode
        A neural layer or a join.
    tail : tuple of Node or QuantizedNode
        Pooling and activations, in order.
    between : tuple of Node or QuantizedNode
        Reshaping nodes between the previous layer and the head's first input.
    input_shape, shape : tuple of int
        Of the head's first input, and of its output.
    """

    head: object
    tail: tuple
    between: tuple
    input_shape: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def name(self) -> str:
        """Name of the head."""
        return self.head.name

    @property
    def chip_order(self) -> tuple:
        """The tail in the chip's order: max pooling before ReLUs, with which it commutes."""
        for place, node in enumerate(self.tail):
            before = self.tail[:place]
            if node.op == "MaxPooling2D" and {earlier.op for earlier in before} == {"ReLU"}:
                return (node, *before, *self.tail[place + 1 :])
        return self.tail

    @property
    def ops(self) -> tuple[str, ...]:
        """Operations of `chip_order`."""
        return tuple(node.op for node in self.chip_order)

    @property
    def last(self):
        """The node that computes the block's output."""
        return self.tail[-1] if self.tail else self.head

    def member(self, op: str):
        """Return the tail node of operation `op`, or None."""
        return next((node for node in self.tail if node.op == op), None)


@dataclass(frozen=True, eq=False)
class View:
    """A model as given, and as the chip's converter reorders it.

    Attributes
    ----------
    original, graph : Graph or QuantizedGraph
        Before and after the converter's reordering, which leaves integer graphs unchanged.
    """

    original: object
    graph: object

    def nodes(self, *ops: str) -> Iterator:
        """Yield the reordered model's nodes of the given operations."""
        return (node for node in self.graph.nodes if node.op in ops)

    def input_shape(self, node) -> tuple[int, ...]:
        """Return the shape of a node's first input."""
        return self.graph.shapes[node.inputs[0]]

    @property
    def last(self):
        """The node that computes the model's output, before dequantization."""
        node = self.graph.node(self.graph.output)
        return self.graph.node(node.inputs[0]) if node.op == "Dequantizer" else node

    @property
    def quantized(self) -> bool:
        """True for an integer graph."""
        return hasattr(self.graph, "scheme")

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks: every neural layer and join with its tail."""
        return tuple(self._block(node) for node in self.nodes(*HEADS))

    @cached_property
    def by_head(self) -> dict[str, Block]:
        """Blocks by the name of their head."""
        return {block.name: block for block in self.blocks}

    def _block(self, head) -> Block:
        tail: list = []
        node = self.graph.sole_consumer(head)
        while node is not None and node.op in (*TAIL, "Dropout"):
            if node.op in TAIL:
                tail.append(node)
            node = self.graph.sole_consumer(node)
        between = tuple(self.origin(head.inputs[0])[1])
        shapes = self.input_shape(head), self.graph.shapes[head.name]
        return Block(head, tuple(tail), between, *shapes)

    def source(self, node):
        """Return the node that computes the first input of `node`."""
        return self.origin(node.inputs[0])[0]

    def origin(self, name: str) -> tuple:
        """Return the node that computes a tensor, and the nodes after it that only reshape it."""
        node, between = self.graph.node(name), []
        while node.op in VALUE_PRESERVING:
            between.insert(0, node)
            node = self.graph.node(node.inputs[0])
        return node, between

    def consumers(self, node) -> Iterator:
        """Yield the layers that consume `node`, looking through operations that keep its values."""
        for consumer in self.graph.consumers(node):
            if consumer.op in VALUE_PRESERVING:
                yield from self.consumers(consumer)
            elif consumer.op not in ENDS:
                yield consumer

    def owner(self, node) -> Block | None:
        """Return the block that contains `node`, or None."""
        while node.op not in HEADS and node.inputs:
            node = self.graph.node(node.inputs[0])
        return self.by_head.get(node.name)

    def outside(self, node) -> str:
        """Return where a pooling or activation outside every block is, in words."""
        before = node
        while before.inputs and (before is node or before.op in (*TAIL, "Dropout")):
            before = self.graph.node(before.inputs[0])
        if not before.inputs:
            return "on the model's input"
        if before.op not in HEADS:
            return f"after {before.name} ({before.op})"
        return f"on a shared output of {before.name}"


def pool_padding(block: Block, shape, pool) -> str:
    """Return the padding of a max pooling; that of its convolution if both are equivalent.

    A chip has one padding for both. Where the windows cover the map exactly, nothing is padded, and
    "same" and "valid" are equivalent.

    Parameters
    ----------
    block : Block
    shape : (height, width, ...)
        Input shape of the pooling.
    pool : Node or QuantizedNode
    """
    sides = pool.attrs["pool_size"]
    strides = pool.attrs["strides"] or sides
    exact = all(
        same_padding(n, k, s) == (0, 0)
        and output_length(n, k, s, "same") == output_length(n, k, s, "valid")
        for n, k, s in zip(shape[:2], sides, strides, strict=True)
    )
    return block.head.attrs.get("padding", "same") if exact else pool.attrs["padding"]


def padding_differs(block: Block) -> bool:
    """Return True if a max pooling does not pad as its convolution does.

    The padding of a 1x1 convolution has no effect.
    """
    pool, kernel = block.member("MaxPooling2D"), block.head.attrs.get("kernel_size", (1, 1))
    if pool is None or max(kernel) == 1:
        return False
    return pool_padding(block, block.shape, pool) != block.head.attrs["padding"]


def layer_facts(view: View, block: Block, kinds: dict[str, str], **more) -> LayerFacts:
    """Return the facts of one block that limits are checked on.

    Parameters
    ----------
    view : View
    block : Block
    kinds : dict of str to str
        Layer class that each block becomes, by the block's name.
    **more : fields of `LayerFacts`
        Chip-specific facts.
    """
    head, bits = block.head, getattr(block.head, "bits", {})
    found: dict = {}
    if "kernel_size" in head.attrs:
        found["kernel"], found["stride"] = head.attrs["kernel_size"], head.attrs["strides"]
        found["padding"] = head.attrs["padding"]
    if pool := block.member("MaxPooling2D"):
        found["pool"] = pool.attrs["pool_size"]
        found["pool_stride"] = pool.attrs["strides"] or pool.attrs["pool_size"]
        found["pool_padding"] = pool_padding(block, block.shape, pool)
    if average := block.member("GlobalAveragePooling2D"):
        found["average"] = shape3d(view.input_shape(average))[:2]
    if block.member("ReLU") or block.member("Activation"):
        found["activation"] = "relu" if block.member("ReLU") else "lut"
    return LayerFacts(
        **{
            "name": block.name,
            "kind": kinds[block.name],
            "input_shape": shape3d(block.input_shape),
            "shape": shape3d(block.shape),
            "consumers": tuple(
                kinds.get(consumer.name, consumer.op) for consumer in view.consumers(block.last)
            ),
            "fifo_size": head.attrs.get("fifo_size"),
            "weight_bits": bits.get("weights"),
            "output_bits": getattr(block.last, "bits", {}).get("output"),
            **found,
            **more,
        }
    )


def shape3d(shape) -> tuple[int, int, int]:
    """Pad a shape with leading ones to (height, width, channels); flatten axes beyond three."""
    shape = tuple(int(n) for n in shape)
    if len(shape) > 3:
        return (math.prod(shape[:-2]), *shape[-2:])
    return (*(1,) * (3 - len(shape)), *shape)
