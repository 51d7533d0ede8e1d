"""Rules of Akida 2.0 about the widths that a quantized file gives."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.chips.blocks import View
from pipeline.chips.rule import Finding

WIDTH = "post_op_buffer"


def one_product_width(view: View) -> Iterator[Finding]:
    """A layer scales the index and the output of its look-up table in one width."""
    for block in view.blocks:
        if block.member("Activation") is None:
            continue
        parts = [node for node in (block.head, *block.tail) if WIDTH in getattr(node, "bits", {})]
        widths = {node.name: node.bits[WIDTH] for node in parts}
        if len(set(widths.values())) > 1:
            yield Finding(
                layers=tuple(widths),
                found=" and ".join(
                    f"{bits}-bit products in {name}" for name, bits in widths.items()
                ),
                allowed="one width",
                fix="quantize both with the same buffer_bitwidth",
            )
