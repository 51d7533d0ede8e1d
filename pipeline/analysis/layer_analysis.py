"""What quantization costs in one block of layers, collected batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from pipeline.analysis.blocks import Block, Matched, Step
from pipeline.analysis.causes import Finding, explain
from pipeline.analysis.error import Error, ErrorSums

BINS = 64
CUT_OFF = 1.5
"""Steps from which a value at the end of the range is cut off: the last level is a step below the
range, so that a value at its end is one step off."""


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
    weights_share : float or None
        Share of the isolated error's power that is in the sums already: that of weights and biases,
        the rest is the output's rounding and saturation. None where the chip hides the sums.
    clipped : float
        Share of outputs that the range cuts off: at its end, and clearly beyond.
    beyond : float
        Share of outputs that saturated before they were scaled: their product with the scale is
        beyond its width.
    dead : float
        Share of channels that are 0 on every image although the float model's are not.
    zeros : float
        Share of zeros in the output.
    events : float
        Outputs per image that are not 0.
    steps : (float, float)
        Least and largest float value of one integer of the output, over the channels.
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
    weights_share: float | None
    clipped: float
    beyond: float
    dead: float
    zeros: float
    events: float
    steps: tuple[float, float]
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
        self.has_sums = True
        self.zeros = self.values = self.clipped = self.images = self.beyond = 0
        self.edges = np.linspace(block.lowest, block.highest + 1, self._bins() + 1)
        self.counts = np.zeros(self._bins(), np.int64)
        self.alive, self.wanted = np.zeros((2, block.channels), bool)

    def _bins(self) -> int:
        return int(min(self.block.highest - self.block.lowest + 1, BINS))

    def add(self, step: Step, floats: np.ndarray) -> None:
        """Add a batch.

        Parameters
        ----------
        step : Step
        floats : float32 array of the outputs' shape
            Outputs of the float model.
        """
        block, out, real = self.block, step.out, step.real
        saturated = (out == block.highest) | ((out == block.lowest) & (block.lowest < 0))
        if block.cuts_off:
            beyond = np.abs(step.alone - real) > CUT_OFF * block.unit
            self.clipped += int(np.count_nonzero(saturated & beyond))
        self.isolated.add(step.alone, real, saturated)
        self.cumulative.add(floats, real, saturated)
        if step.sums is None:
            self.has_sums = False
        else:
            self.in_sums += float(np.square(step.sums - step.alone).sum())
            self.after += float(np.square(real - step.sums).sum())
        self.zeros += int(np.count_nonzero(out == 0))
        self.values += out.size
        self.images += len(out)
        self.beyond += step.beyond
        self.counts += np.histogram(np.clip(out, block.lowest, block.highest), self.edges)[0]
        flat = out.reshape(-1, out.shape[-1])
        self.alive |= (flat != 0).any(axis=0)
        self.wanted |= (floats.reshape(flat.shape) != 0).any(axis=0)

    def result(self, matched: Matched, faults: Mapping[str, list[str]]) -> LayerAnalysis:
        """Return the figures, given all blocks and unexpected registers by layer."""
        block = self.block
        both = self.in_sums + self.after
        share = (self.in_sums / both if both else 0.0) if self.has_sums else None
        layer = LayerAnalysis(
            name=block.name,
            type=block.type,
            end=block.end,
            sources=matched.sources(block),
            weight_bits=block.weight_bits,
            output_bits=block.output_bits,
            weights=sum(kernel.size for kernel in block.kernels),
            isolated=self.isolated.result(),
            cumulative=self.cumulative.result(),
            weights_share=share,
            clipped=self.clipped / self.values,
            beyond=self.beyond / self.values,
            dead=float(np.mean(self.wanted & ~self.alive)),
            zeros=self.zeros / self.values,
            events=(self.values - self.zeros) / self.images,
            steps=(float(np.min(block.unit)), float(np.max(block.unit))),
            output_counts=(block.lowest, block.highest, tuple(self.counts.tolist())),
            weight_counts=_weight_counts(block),
            faults=tuple(
                f"{name}: {text}" for name in block.members for text in faults.get(name, ())
            ),
        )
        return replace(layer, finding=explain(layer, block, matched.fitted))


def _weight_counts(block: Block):
    if not block.kernels or block.weight_bits is None:
        return None
    top = max((1 << (block.weight_bits - 1)) - 1, 1)
    bins = min(2 * top + 1, BINS + 1)
    values = np.concatenate([kernel.ravel() for kernel in block.kernels]).astype(np.int64)
    counts = np.histogram(values, np.linspace(-top - 0.5, top + 0.5, bins + 1))[0]
    return -top, top, tuple(counts.tolist())
