"""The widths that a chip's layers take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.config.layer_widths import (
    ACTIVATION_BITS,
    OUTPUT_BITS,
    WEIGHT_BITS,
    LayerWidths,
)
from simulator.targets import limits_of

WEIGHTS, ACTIVATION, OUTPUT = "weight_bits", "activation_bits", "output_bits"
ALLOWED = {WEIGHTS: WEIGHT_BITS, ACTIVATION: ACTIVATION_BITS, OUTPUT: OUTPUT_BITS}
"""Widths that the quantizer has, by key of ``quantization.layers``."""
Site = tuple[str, str]
"""The node with a kernel or an output, and the key of ``quantization.layers`` for its width."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A width of one site.

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

    @property
    def site(self) -> Site:
        """What has the width."""
        return self.layer, self.key


def allowed_widths(target: str, kind: str, key: str) -> tuple[int, ...]:
    """Return the widths that both a chip's layer and the quantizer have.

    Parameters
    ----------
    target : str
        Name of the chip.
    kind : str
        Class of the layer.
    key : {"weight_bits", "activation_bits", "output_bits"}
    """
    limits = limits_of(target)
    table = getattr(limits, "WEIGHT_BITS" if key == WEIGHTS else "OUTPUT_BITS", None)
    chip = limits.DATA_BITS if table is None else table.get(kind, ALLOWED[key])
    return tuple(bits for bits in ALLOWED[key] if bits in chip)


def widest(target: str) -> dict[str, int]:
    """Return the widths that every layer of a chip takes, as fields of ``quantization``."""
    limits = limits_of(target)
    outputs = getattr(limits, "OUTPUT_BITS", None)
    data = max(limits.DATA_BITS) if outputs is None else min(map(max, outputs.values()))
    weights = min(map(max, limits.WEIGHT_BITS.values()))
    return {WEIGHTS: weights, ACTIVATION: data, OUTPUT: max(data, min(OUTPUT_BITS))}


def layer_widths(choices: Iterable[Choice]) -> dict[str, LayerWidths]:
    """Return choices as the values of ``quantization.layers``."""
    found: dict[str, dict[str, int]] = {}
    for choice in choices:
        found.setdefault(choice.layer, {})[choice.key] = choice.bits
    return {layer: LayerWidths(**widths) for layer, widths in found.items()}
