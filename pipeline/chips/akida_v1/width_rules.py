"""Rules of Akida 1.0 about the widths of quantized models."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.chips.blocks import View
from pipeline.chips.rule import Finding
from pipeline.messages.settings import setting
from simulator.akida_v1.neuron import ACT_BITS
from simulator.limit import numbers

WIDTHS = numbers(ACT_BITS)


def activation_bits(view: View) -> Iterator[Finding]:
    """Activations have {WIDTHS} bits."""
    widths = {node.name: getattr(node, "bits", {}).get("output") for node in view.nodes("ReLU")}
    wide = {name: bits for name, bits in widths.items() if bits not in (None, *ACT_BITS)}
    # Where other activations have an allowed width, it is the choice for single layers to change.
    single = len(wide) < len(widths)
    for name, bits in wide.items():
        key = f"quantization.layers.{name}.activation_bits"
        yield Finding(
            layers=(name,),
            found=f"{bits}-bit activations",
            allowed=f"{WIDTHS} on Akida 1.0",
            fix=setting(key if single else "quantization.activation_bits", 4),
        )


def separable_bits(view: View) -> Iterator[Finding]:
    """The two kernels of a separable convolution have one width."""
    for node in view.nodes("SeparableConv2D"):
        widths = getattr(node, "bits", {}).items()
        if len({bits for name, bits in widths if name.endswith("weights")}) > 1:
            yield Finding(
                layers=(node.name,),
                found="its two kernels have different widths",
                allowed="one",
                fix="quantize both with the same bits",
            )
