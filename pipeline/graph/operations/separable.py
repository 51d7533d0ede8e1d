"""Separable convolutions."""

from __future__ import annotations

from pipeline.graph.attributes import COUNT, Attribute
from pipeline.graph.float_kernels import conv2d, depthwise_conv2d
from pipeline.graph.keras_form import ONE_GROUP, KerasRule, along_steps
from pipeline.graph.neural import FILTERS, WINDOW, WINDOW_PAIRS, Neural, bias, biased
from pipeline.graph.windows import padded, windowed_shape


class SeparableConv2D(Neural):
    """A depthwise convolution and a 1x1 convolution, fused in one layer."""

    attributes = {**FILTERS, **WINDOW, "depth_multiplier": Attribute(COUNT, 1)}
    on_maps = data_format = convolution = True
    keras = {
        "SeparableConv2D": KerasRule(fixed=ONE_GROUP, aliases=("SeparableConvolution2D",)),
        "SeparableConv1D": KerasRule(
            fixed=ONE_GROUP,
            convert=along_steps(*WINDOW_PAIRS),
            aliases=("SeparableConvolution1D",),
        ),
    }
    input_kernel, output_kernel = "depthwise_kernel", "pointwise_kernel"

    def weights(self, attrs, shape):
        multiplier = attrs["depth_multiplier"]
        return {
            "depthwise_kernel": (*attrs["kernel_size"], shape[-1], multiplier),
            "pointwise_kernel": (1, 1, shape[-1] * multiplier, attrs["filters"]),
            **bias(attrs, attrs["filters"]),
        }

    def output_shape(self, node, shape):
        return windowed_shape(node, shape, node.attrs["kernel_size"], node.attrs["filters"])

    def forward(self, node, x):
        attrs, weights = node.attrs, node.weights
        x = padded(node, x, attrs["kernel_size"])
        x = depthwise_conv2d(
            x, weights["depthwise_kernel"], attrs["strides"], attrs["dilation_rate"]
        )
        return biased(node, conv2d(x, weights["pointwise_kernel"]))


OPERATIONS = (SeparableConv2D(),)
