"""Split fused separable convolutions, which Akida 2.0 lacks."""

from __future__ import annotations

from dataclasses import replace

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.transforms.rewrite import Rewrite

DEPTHWISE = ("kernel_size", "strides", "padding", "dilation_rate", "depth_multiplier")


def unfuse_separable(graph: Graph) -> Rewrite:
    """Replace every SeparableConv2D by a DepthwiseConv2D and a 1x1 Conv2D.

    Layer ``x`` becomes ``dw_x`` (without bias) and ``pw_x`` (with the bias, if any). It may have
    several consumers, be the model's output, and have any stride, dilation or depth multiplier. The
    layers after it keep their names.
    """
    changed: list[str] = []

    def split(node: Node) -> list[Node] | None:
        if node.op != "SeparableConv2D":
            return None
        changed.append(node.name)
        depthwise = make_node(
            graph.fresh_name(f"dw_{node.name}"),
            "DepthwiseConv2D",
            node.inputs,
            {**{key: node.attrs[key] for key in DEPTHWISE}, "use_bias": False},
            {"kernel": node.weights["depthwise_kernel"]},
        )
        bias = {"bias": node.weights["bias"]} if node.attrs["use_bias"] else {}
        pointwise = make_node(
            graph.fresh_name(f"pw_{node.name}"),
            "Conv2D",
            (depthwise.name,),
            {
                "filters": node.attrs["filters"],
                "kernel_size": 1,
                "padding": "same",
                "use_bias": node.attrs["use_bias"],
            },
            {"kernel": node.weights["pointwise_kernel"], **bias},
        )
        return [replace(half, split_from=node.name) for half in (depthwise, pointwise)]

    return Rewrite(graph=graph.rewrite(split), changed=tuple(changed))
