"""A proxy for comparing the energy of programs, without an estimate in joules."""

from __future__ import annotations

from collections.abc import Mapping

from simulator import Program

FULL_BITS = 64
"""Product of the bit widths of an 8-bit weight and an 8-bit input."""
INPUT_BITS = {"uint8": 8, "int8": 8, "int16": 16, "float32": 32}


def energy_proxy(program: Program, effective_macs: Mapping[str, float]) -> float:
    """Return the work for one input in equivalent operations of 8-bit weights and 8-bit inputs.

    Each layer's effective operations are weighted by the bit widths of its weights and inputs,
    because the area and the switching of a multiplier grow with their product.

    Parameters
    ----------
    program : Program
    effective_macs : mapping of str to float
        Operations on non-zero inputs, by layer.
    """
    widths, total = {}, 0.0
    for layer in program.layers:
        sources = [widths[name] for name in layer.inputs]
        if not sources:
            sources = [(INPUT_BITS[program.input_dtype], False)]
        known = [source[0] for source in sources if source is not None]
        bits = max(known) if known else 8
        total += effective_macs[layer.name] * getattr(layer, "weight_bits", 8) * bits / FULL_BITS
        widths[layer.name] = layer.output_width(*sources)
    return total
