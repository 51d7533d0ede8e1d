"""An integer model in blocks, each with the float layers that it stands for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.graph.forward import run_node, run_temporal
from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from simulator.refusal import Refusal

PRODUCT = "output product"
"""Stage at which the emulator counts products with the output's scale that saturate."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Block:
    """Layers up to a quantized output: a convolution, its pooling and its activation, say.

    Attributes
    ----------
    name, type, end : str
        First layer, operations, and the last layer, whose output is the block's.
    members : tuple of str
        All layers.
    inputs : tuple of str
        Float tensors that it reads.
    activated : bool
        True if an activation is among them.
    computes : bool
        True if it does more than move values, so that it can add an error.
    channels : int
    weight_bits, output_bits : int or None
    kernels : tuple of int array
    lowest, highest : int
        Range of the output's integers.
    cuts_off : bool
        True if an output stage limits the sums to that range.
    flattens : bool
        True if it ends in a Flatten.
    unit : float64 array of shape () or (channels,)
        Float value of one integer of the output.
    """

    name: str
    type: str
    end: str
    members: tuple[str, ...]
    inputs: tuple[str, ...]
    activated: bool
    computes: bool
    channels: int
    weight_bits: int | None
    output_bits: int | None
    kernels: tuple[np.ndarray, ...]
    lowest: int
    highest: int
    cuts_off: bool
    flattens: bool
    unit: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class Step:
    """What a block computes for a batch.

    Attributes
    ----------
    block : Block
    alone : float32 array of shape (n, ..., channels)
        Output of the float layers, given the float values of the block's integer inputs.
    sums : float64 array of the same shape, or None
        Float values of the sums before the output is quantized; None where the chip hides them.
    out : int array of the same shape
        Integers of the output.
    real : float32 array of the same shape
        Their float values.
    beyond : int
        Values whose product with the output's scale is beyond its width, so that it saturates.
    """

    block: Block
    alone: np.ndarray
    sums: np.ndarray | None
    out: np.ndarray
    real: np.ndarray
    beyond: int


class Matched(ABC):
    """A float model and its integers, matched.

    Attributes
    ----------
    graph : Graph
        Prepared float graph.
    blocks : tuple of Block
        In the graph's order.
    fitted : bool
        True if registers were refined or trained.
    """

    graph: Graph
    blocks: tuple[Block, ...]
    fitted: bool

    @abstractmethod
    def run(self, batch: np.ndarray) -> Iterator[Step]:
        """Yield what each block that computes gives for a batch; batches follow each other."""

    @property
    @abstractmethod
    def outputs(self) -> np.ndarray:
        """Outputs of the last batch, float32."""

    @abstractmethod
    def unexpected(self) -> dict[str, list[str]]:
        """Return, by layer, sentences on registers that do not follow from the float model."""

    def sources(self, block: Block) -> tuple[str, ...]:
        """Return the last layers of the blocks that compute a block's inputs."""
        ends = {other.end: other for other in self.blocks}
        found = []
        for name in block.inputs:
            while name in ends and not ends[name].computes:
                name = ends[name].inputs[0]
            found.append(name)
        return tuple(found)


def unmatched(missing: list[str], extra: list[str]) -> list[Refusal]:
    """Return the refusals of layers without a counterpart, in the integers and in the floats."""
    fix = "give the model that was quantized"
    found = ((missing, "only in the quantized model"), (extra, "only in the float model"))
    return [Refusal(layers=sorted(n), found=text, fix=fix) for n, text in found if n]


def run_chain(nodes: tuple[Node, ...], inputs: list[np.ndarray], past: dict) -> np.ndarray:
    """Return the float output of layers that follow each other.

    Parameters
    ----------
    nodes : tuple of Node
    inputs : list of float32 arrays
        Of the first one.
    past : dict
        State of temporal layers, read and updated.
    """
    for node in nodes:
        if node.operation.temporal:
            value = run_temporal(node, inputs[0], past, streams=1)
        else:
            value = run_node(node, *inputs)
        inputs = [value]
    return np.asarray(inputs[0], np.float32)
