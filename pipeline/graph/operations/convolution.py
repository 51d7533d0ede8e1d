"""Convolutions."""

from __future__ import annotations

import numpy as np

from pipeline.errors import LayerError
from pipeline.graph.attributes import COUNT, INTERNAL, Attribute
from pipeline.graph.float_kernels import conv2d, depthwise_conv2d
from pipeline.graph.keras_form import ONE_GROUP, PLAIN_WEIGHTS, KerasRule, along_steps
from pipeline.graph.neural import FILTERS, WINDOW, WINDOW_PAIRS, Neural, bias, biased
from pipeline.graph.windows import padded, windowed_shape


class Conv2D(Neural):
    """Cross-correlation of a map with a kernel per filter.

    ``padding_value``, which only preparation sets, is None or the float values of "same" padding
    (one, or one per channel).
    """

    attributes = {
        **FILTERS,
        **WINDOW,
        "groups": Attribute(COUNT, 1),
        "padding_value": Attribute(INTERNAL, None),
    }
    on_maps = data_format = convolution = True
    keras = {
        "Conv2D": KerasRule(fixed=PLAIN_WEIGHTS, aliases=("Convolution2D",)),
        "Conv1D": KerasRule(
            fixed=PLAIN_WEIGHTS, convert=along_steps(*WINDOW_PAIRS), aliases=("Convolution1D",)
        ),
        "PaddedConv2D": KerasRule(fixed={"padding_value": (None,)}),
    }

    def weights(self, attrs, shape):
        kernel = (*attrs["kernel_size"], shape[-1] // attrs["groups"], attrs["filters"])
        return {"kernel": kernel, **bias(attrs, attrs["filters"])}

    def output_shape(self, node, shape):
        groups, filters = node.attrs["groups"], node.attrs["filters"]
        if shape[-1] % groups or filters % groups:
            raise LayerError(
                node.name,
                f"groups is {groups}; it must divide the {shape[-1]} channels of the"
                f" input and the {filters} filters",
            )
        return windowed_shape(node, shape, node.attrs["kernel_size"], filters)

    def forward(self, node, x):
        attrs, value = node.attrs, node.attrs["padding_value"]
        x = padded(node, x, attrs["kernel_size"], 0 if value is None else np.float32(value))
        kernel = node.weights["kernel"]
        y = conv2d(x, kernel, attrs["strides"], attrs["dilation_rate"], attrs["groups"])
        return biased(node, y)

    def keras_obstacle(self, attrs, generation):
        if attrs["padding_value"] is not None:
            return "Keras only pads with zeros; write the model before it is prepared"
        return None


class DepthwiseConv2D(Neural):
    """Cross-correlation of each channel with its own kernel or kernels."""

    attributes = {**WINDOW, "depth_multiplier": Attribute(COUNT, 1)}
    on_maps = data_format = convolution = depthwise = True
    keras = {
        "DepthwiseConv2D": KerasRule(fixed=ONE_GROUP),
        "DepthwiseConv1D": KerasRule(fixed=ONE_GROUP, convert=along_steps(*WINDOW_PAIRS)),
    }
    keras_variables = {"kernel": "depthwise_kernel"}

    def weights(self, attrs, shape):
        multiplier = attrs["depth_multiplier"]
        kernel = (*attrs["kernel_size"], shape[-1], multiplier)
        return {"kernel": kernel, **bias(attrs, shape[-1] * multiplier)}

    def output_shape(self, node, shape):
        channels = shape[-1] * node.attrs["depth_multiplier"]
        return windowed_shape(node, shape, node.attrs["kernel_size"], channels)

    def forward(self, node, x):
        attrs = node.attrs
        x = padded(node, x, attrs["kernel_size"])
        kernel = node.weights["kernel"]
        return biased(node, depthwise_conv2d(x, kernel, attrs["strides"], attrs["dilation_rate"]))

    def per_output(self, kernel, values):
        return values.reshape(kernel.shape[2:])


OPERATIONS = (Conv2D(), DepthwiseConv2D())
