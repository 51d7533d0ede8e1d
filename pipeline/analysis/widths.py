"""The widths that a chip's layers take, by block of a program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.config.layer_widths import ACTIVATION_BITS, OUTPUT_BITS, WEIGHT_BITS
from pipeline.quantization.assignment import Assignment
from pipeline.quantization.calibrated_graph import NodeQuantization
from simulator import Program
from simulator.targets import limits_of

TABLE_INDEX = 11
"""Bits of an output that a look-up table reads, which is fixed."""
WEIGHTS, ACTIVATION, OUTPUT = "weight_bits", "activation_bits", "output_bits"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A width that one layer may have.

    Attributes
    ----------
    layer : str
        The node with the kernel or the output, a key of ``quantization.layers``.
    key : {"weight_bits", "activation_bits", "output_bits"}
    bits : int
    """

    layer: str
    key: str
    bits: int


def choices(program: Program, assignment: Assignment, activated: set[str]) -> Iterator[Choice]:
    """Yield every width that the chip and the quantizer allow, for each kernel and each output.

    Parameters
    ----------
    program : Program
        Of the model, at any widths.
    assignment : Assignment
        Of the same model.
    activated : set of str
        Nodes whose output is an activation's, or an average of one.
    """
    owner, kinds = "", {layer.name: type(layer).__name__ for layer in program.layers}
    for name, node in assignment.nodes.items():
        owner = name if name in kinds else owner
        kind = kinds.get(owner)
        if node.weight_bits is not None:
            for bits in _allowed(program.target, "WEIGHT_BITS", kind, WEIGHT_BITS):
                yield Choice(layer=name, key=WEIGHTS, bits=bits)
        if node.output is not None and node.output.bits != TABLE_INDEX:
            key = ACTIVATION if name in activated else OUTPUT
            own = ACTIVATION_BITS if key == ACTIVATION else OUTPUT_BITS
            for bits in _allowed(program.target, "OUTPUT_BITS", kind, own):
                yield Choice(layer=name, key=key, bits=bits)


def _allowed(target: str, table: str, kind: str | None, own: tuple[int, ...]) -> list[int]:
    """Return the widths that both the chip's table and the quantizer have."""
    limits = limits_of(target)
    found = getattr(limits, table, None)
    chip = limits.DATA_BITS if found is None else found.get(kind, own)
    return [bits for bits in own if bits in chip]


def current(node: NodeQuantization, choice: Choice) -> bool:
    """Return whether a node has a width already."""
    if choice.key == WEIGHTS:
        return node.weight_bits == choice.bits
    return node.output is not None and node.output.bits == choice.bits
