"""What quantization costs in one block of layers, collected batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from pipeline.analysis.blocks import Block, Blocks
from pipeline.analysis.causes import Finding, explain
from pipeline.analysis.error import Error, ErrorSums
from pipeline.quantization.quantized_graph import QuantizedNode

BINS = 64
CUT_OFF = 1.5
"""Steps from which a value at the end of the range is cut off: the last level is a step below the
range, so that a value at its end is one step off."""
KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


@dataclass(frozen=True, eq=False, kw_only=True)
class LayerAnalysis:
    """What quantization costs in one block of layers.

    Attributes
    ----------
    name, type, end : str
        First layer, operations, last layer.
    sources : tuple of str
        Last layers of the blocks whose outputs it takes.
    weight_bits, output_bits : int or None
    weights : int
        Number of weights, biases apart.
    isolated, cumulative : Error
        Of the block's integers: against the float layers on the same inputs, so that only the
        block's own error counts; and against the float model.
    weights_share : float
        Share of the isolated error's power that is in the sums already: that of weights and biases,
        the rest is the output's rounding and saturation.
    clipped : float
        Share of outputs that the range cuts off: at its end, and clearly beyond.
    dead : float
        Share of channels that are 0 on every image although the float model's are not.
    zeros : float
        Share of zeros in the output.
    output_counts, weight_counts : tuple of (lowest, highest, counts)
        Histograms of the integers over their width.
    faults : tuple of str
        Registers that do not follow from the float model.
    finding : Finding
        Cause and remedy.
    """

    name: str
    type: str
    end: str
    sources: tuple[str, ...]
    weight_bits: int | None
    output_bits: int | None
    weights: int
    isolated: Error
    cumulative: Error
    weights_share: float
    clipped: float
    dead: float
    zeros: float
    output_counts: tuple
    weight_counts: tuple | None
    faults: tuple[str, ...] = ()
    finding: Finding | None = None


class LayerSums:
    """What is collected of one block."""

    def __init__(self, block: Block):
        self.block = block
        self.isolated, self.cumulative = ErrorSums(), ErrorSums()
        self.in_sums = self.after = 0.0
        self.zeros = self.values = self.clipped = 0
        self.lowest, self.highest = _limits(block.end)
        self.edges = np.linspace(self.lowest, self.highest + 1, self._bins() + 1)
        self.counts = np.zeros(self._bins(), np.int64)
        channels = block.end.shape[-1]
        self.alive, self.wanted = np.zeros(channels, bool), np.zeros(channels, bool)

    def _bins(self) -> int:
        return int(min(self.highest - self.lowest + 1, BINS))

    def add(self, alone, floats, total, out, real) -> None:
        """Add a batch: float outputs on the same and on float inputs, sums, outputs, values."""
        saturated = (out == self.highest) | (out == self.lowest)
        if "output_shift" in self.block.end.registers:
            beyond = np.abs(alone - real) > CUT_OFF * self.block.unit
            self.clipped += int(np.count_nonzero(saturated & beyond))
        self.isolated.add(alone, real, saturated)
        self.cumulative.add(floats, real, saturated)
        exact = total * self.block.sum_unit
        self.in_sums += float(np.square(exact - alone).sum())
        self.after += float(np.square(real - exact).sum())
        self.zeros += int(np.count_nonzero(out == 0))
        self.values += out.size
        self.counts += np.histogram(np.clip(out, self.lowest, self.highest), self.edges)[0]
        flat = out.reshape(-1, out.shape[-1])
        self.alive |= (flat != 0).any(axis=0)
        self.wanted |= (floats.reshape(flat.shape) != 0).any(axis=0)

    def result(self, blocks: Blocks, faults: Mapping[str, list[str]]) -> LayerAnalysis:
        """Return the figures, given all blocks and unexpected registers by node."""
        block = self.block
        both = self.in_sums + self.after
        layer = LayerAnalysis(
            name=block.name,
            type=block.type,
            end=block.end.name,
            sources=blocks.sources(block),
            weight_bits=block.nodes[0].bits.get("weights"),
            output_bits=block.end.bits.get("output"),
            weights=sum(
                block.nodes[0].registers[key].size
                for key in ("kernel", "depthwise_kernel", "pointwise_kernel")
                if key in block.nodes[0].registers
            ),
            isolated=self.isolated.result(),
            cumulative=self.cumulative.result(),
            weights_share=self.in_sums / both if both else 0.0,
            clipped=self.clipped / self.values,
            dead=float(np.mean(self.wanted & ~self.alive)),
            zeros=self.zeros / self.values,
            output_counts=(self.lowest, self.highest, tuple(self.counts.tolist())),
            weight_counts=_weight_counts(block),
            faults=tuple(
                f"{node.name}: {text}" for node in block.nodes for text in faults.get(node.name, ())
            ),
        )
        return replace(layer, finding=explain(layer, block, blocks.refined or blocks.trained))


def _limits(node: QuantizedNode) -> tuple[int, int]:
    """Return the least and the largest integer of an output."""
    width = node.format.value_bits
    return -(1 << width), (1 << width) - 1


def _weight_counts(block: Block):
    node = block.nodes[0]
    key = next((k for k in ("kernel", "pointwise_kernel") if k in node.registers), None)
    if key is None:
        return None
    top = (1 << (node.bits["weights"] - 1)) - 1
    bins = min(2 * top + 1, BINS + 1)
    values = node.registers[key].astype(np.int64)
    counts = np.histogram(values, np.linspace(-top - 0.5, top + 0.5, bins + 1))[0]
    return -top, top, tuple(counts.tolist())
