"""A float model as the chips see it: neural layers, each with the tail that it absorbs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.graph.traits import NEURAL

HEADS = (*NEURAL, "Add", "Concatenate")
TAIL = ("MaxPooling2D", "ReLU", "Activation", "GlobalAveragePooling2D")
SHAPERS = ("Flatten", "Reshape", "Dropout", "Rescaling")
"""Operations that change no value, or only its unit."""
WINDOWS = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D")
IMAGE_CHANNELS = (1, 3)


@dataclass(frozen=True, eq=False)
class Block:
    """A neural layer and its tail.

    Attributes
    ----------
    head : Node
    tail : tuple of Node
        Pooling and activations, in order.
    input_shape, shape : tuple of int
        Of the head's first input, and of its output.
    is_input : bool
        The head reads the model's input, as an image of 1 or 3 channels.
    """

    head: Node
    tail: tuple[Node, ...]
    input_shape: tuple[int, ...]
    shape: tuple[int, ...]
    is_input: bool

    @property
    def name(self) -> str:
        """Name of the head."""
        return self.head.name

    @property
    def ops(self) -> tuple[str, ...]:
        """Operations of the tail."""
        return tuple(node.op for node in self.tail)

    def member(self, op: str) -> Node | None:
        """Return the tail node of type `op`, if there is one."""
        return next((node for node in self.tail if node.op == op), None)


@dataclass(frozen=True, eq=False)
class View:
    """A model, as it was given and as the chip's converter reorders it.

    Attributes
    ----------
    original, graph : Graph
        Before and after the converter's own reordering.
    """

    original: Graph
    graph: Graph

    def nodes(self, *ops: str) -> Iterator[Node]:
        """Yield the reordered model's nodes of some types."""
        return (node for node in self.graph.nodes if node.op in ops)

    def input_shape(self, node: Node) -> tuple[int, ...]:
        """Return the shape of a node's first input."""
        return self.graph.shapes[node.inputs[0]]

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """Every neural layer and join, with its tail."""
        return tuple(self._block(node) for node in self.nodes(*HEADS))

    @cached_property
    def by_head(self) -> dict[str, Block]:
        """Blocks by the name of their head."""
        return {block.name: block for block in self.blocks}

    def _block(self, head) -> Block:
        tail, node = [], self.graph.sole_consumer(head)
        while node is not None and node.op in (*TAIL, "Dropout"):
            if node.op in TAIL:
                tail.append(node)
            node = self.graph.sole_consumer(node)
        shape = self.input_shape(head)
        image = (
            head.op == "Conv2D"
            and len(shape) == 3
            and shape[-1] in IMAGE_CHANNELS
            and self.source(head).op == "Input"
        )
        return Block(head, tuple(tail), shape, self.graph.shapes[head.name], image)

    def source(self, node: Node) -> Node:
        """Return the node that feeds `node`, looking through what changes no value."""
        found = self.graph.node(node.inputs[0])
        while found.op in SHAPERS:
            found = self.graph.node(found.inputs[0])
        return found

    def readers(self, node: Node) -> Iterator[Node]:
        """Yield what reads `node`, looking through what changes no value."""
        for reader in self.graph.consumers(node):
            if reader.op in SHAPERS:
                yield from self.readers(reader)
            else:
                yield reader

    def owner(self, node: Node) -> Block | None:
        """Return the block whose head or tail `node` is."""
        while node.op not in HEADS and node.inputs:
            node = self.graph.node(node.inputs[0])
        return self.by_head.get(node.name)


def size(pair) -> str:
    """Return a pair for users: ``3x3``."""
    return "x".join(map(str, pair))
