"""Remarks on models that convert to Akida 2.0."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.chips.akida_v2.rules import RELU, TABLE
from pipeline.chips.blocks import View, size
from simulator.akida_v2.limits import INPUT_CHANNELS
from simulator.limit import numbers


def notes(view: View) -> Iterator[str]:
    """Yield remarks on a model that converts."""
    yield from _padding_remarks(view)
    ends = {node.name for node in view.graph.ends}
    inner = [block for block in view.blocks if view.graph.consumers(block.head)]
    linear = [
        block.name
        for block in inner
        if block.head.op == "Conv2D"
        and not set(block.ops) & {RELU, TABLE}
        and block.name in view.original.by_name
        and block.name not in ends
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


def _padding_remarks(view: View) -> Iterator[str]:
    """Yield a remark where negative float inputs would need a layer that only reads images."""
    image = view.graph.input
    channels = view.graph.shapes[image.name][-1]
    if image.attrs["dtype"] != "float32" or channels in INPUT_CHANNELS:
        return
    for block in view.blocks:
        padded = block.head.op == "Conv2D" and block.head.attrs["padding"] == "same"
        if padded and view.source(block.head) is image:
            yield (
                f"{block.name}: inputs below 0 would be padded with their zero point, which only"
                f" InputConv2D does, on {numbers(INPUT_CHANNELS)} channels; found {channels}:"
                " with such samples it is beyond the chip's limits"
            )
