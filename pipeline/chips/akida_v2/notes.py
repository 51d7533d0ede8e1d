"""What converts to Akida 2.0 but is worth knowing."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.chips.akida_v2.rules import RELU, TABLE
from pipeline.chips.blocks import View, size


def notes(view: View) -> Iterator[str]:
    """Say what converts but is worth knowing."""
    inner = [block for block in view.blocks if view.graph.consumers(block.head)]
    linear = [
        block.name
        for block in inner
        if block.head.op == "Conv2D"
        and not set(block.ops) & {RELU, TABLE}
        and block.name in view.original.by_name
        and block.name != view.graph.output
    ]
    if linear:
        yield (
            f"no activation after {', '.join(linear[:5])}{' ...' * (len(linear) > 5)}: outputs"
            " are signed, which Akida 2.0 allows (Akida 1.0 does not)"
        )
    for node in view.graph.nodes:
        old = view.original.by_name.get(node.name)
        if old is not None and old.attrs.get("kernel_size") != node.attrs.get("kernel_size"):
            yield (
                f"{node.name}: its kernel {size(old.attrs['kernel_size'])} becomes"
                f" {size(node.attrs['kernel_size'])} with zeros when it is quantized"
            )
