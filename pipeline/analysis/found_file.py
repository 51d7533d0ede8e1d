"""Found widths as YAML: a file of ``conf/quantization`` that the commands read as well."""

from __future__ import annotations

import yaml

from pipeline.analysis.trials import Found
from pipeline.analysis.variants import Variants
from pipeline.chips import chip

WIDE = {"quantizeml": "w8a8", "cnn2snn": "v1_w4a4"}
"""The choice of ``conf/quantization`` with the widest widths, by scheme."""


def found_yaml(variants: Variants, found: Found) -> str:
    """Return widths as a choice of ``conf/quantization``."""
    head = (
        f"# Widths that 'crossgrade search' found for {variants.graph.name} on {variants.target}:\n"
        f"# {found.cost.weight_bytes:,} bytes of weights, {found.cost.macs_bits:,} bits multiplied,"
        f" {found.cost.activation_bytes:,} bytes of maps.\n"
    )
    wide = WIDE[chip(variants.target).schemes[0]]
    values = {"defaults": [wide, "_self_"], "layers": found_layers(variants, found)}
    return head + yaml.safe_dump(values, sort_keys=False)


def found_layers(variants: Variants, found: Found) -> dict[str, dict[str, int]]:
    """Return widths as the values of ``quantization.layers``."""
    layers: dict[str, dict[str, int]] = {}
    for choice in (*variants.widest, *found.choices):
        layers.setdefault(choice.layer, {})[choice.key] = choice.bits
    return layers
