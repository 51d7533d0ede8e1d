"""An integer model, before it is lowered to a chip's layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from pipeline.graph.wiring import Wiring
from pipeline.messages.notes import Note


@dataclass(frozen=True, eq=False, kw_only=True)
class Format:
    """Format of an integer tensor: ``value = integer * 2**-frac_bits * scales``.

    Attributes
    ----------
    value_bits : int
        Integers are in ``[-2**value_bits, 2**value_bits - 1]``.
    frac_bits : int64 array of shape () or (channels,)
    scales : float32 array of shape () or (channels,), or None
        None for a fixed-point tensor (a quantized output); an array for an accumulator.
    """

    value_bits: int
    frac_bits: np.ndarray
    scales: np.ndarray | None = None

    @property
    def per_tensor(self) -> bool:
        """True if all channels share one scale."""
        return self.frac_bits.ndim == 0 and (self.scales is None or self.scales.ndim == 0)


@dataclass(frozen=True, eq=False, kw_only=True)
class QuantizedNode:
    """One operation of an integer model.

    Attributes
    ----------
    name, op, inputs, attrs
        As in `pipeline.graph.node.Node`; ``Quantizer`` and ``Dequantizer`` are added operations.
    registers : mapping of str to array
        Integers (and, for a Dequantizer, float32 scales); kernels in Keras layout.
    bits : mapping of str to int
        Bit widths: ``weights``, ``buffer``, ``output``, ``post_op_buffer``...
    format : Format
        Format of the output.
    shape : tuple of int
        Output shape without the batch dimension.
    sums : Format or None
        Format before the output is quantized; None if the output is not, or if a file lacks it.
    rate : float32 array of shape () or (channels,), or None
        Factor that equalization puts on the output, and the next kernel takes back; None is 1.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    registers: Mapping[str, np.ndarray] = field(default_factory=dict)
    bits: Mapping[str, int] = field(default_factory=dict)
    format: Format
    shape: tuple[int, ...]
    sums: Format | None = None
    rate: np.ndarray | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class QuantizedGraph(Wiring[QuantizedNode]):
    """An integer model, independent of the chip.

    Attributes
    ----------
    name : str
    scheme : str
        Its quantization scheme: ``quantizeml`` or ``cnn2snn``.
    nodes : tuple of QuantizedNode
        Topological order; the first is the ``Input``.
    output : str
    notes : tuple of Note
        Notes for the user.
    """

    name: str
    scheme: str
    nodes: tuple[QuantizedNode, ...]
    output: str
    notes: tuple[Note, ...] = ()

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Output shape of every node, without the batch dimension."""
        return {node.name: node.shape for node in self.nodes}
