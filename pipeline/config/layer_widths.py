"""Bit widths of single layers, the values of ``quantization.layers``."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.config.fields import one_of

WEIGHT_BITS, ACTIVATION_BITS, OUTPUT_BITS = (2, 4, 8), (1, 2, 4, 8), (4, 8)
"""Allowed widths, of a whole model and of single layers."""


@dataclass(frozen=True, kw_only=True)
class LayerWidths:
    """Widths of the layers that one name, pattern or layer type selects; None keeps the model's.

    Attributes
    ----------
    weight_bits : int or None
        Of kernels, the first layer's among them.
    activation_bits : int or None
        Of outputs of activations, and of global averages after them.
    output_bits : int or None
        Of outputs of layers without activation.
    """

    weight_bits: int | None = one_of(None, *WEIGHT_BITS)
    activation_bits: int | None = one_of(None, *ACTIVATION_BITS)
    output_bits: int | None = one_of(None, *OUTPUT_BITS)
