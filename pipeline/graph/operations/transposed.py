"""Transposed convolutions."""

from __future__ import annotations

import math

from pipeline.errors import LayerError
from pipeline.graph.attributes import PADDING, PAIR, Attribute
from pipeline.graph.float_transposed import conv2d_transpose, depthwise_conv2d_transpose
from pipeline.graph.keras_form import ONE_GROUP, KerasRule
from pipeline.graph.keras_transposed import depthwise_conv2d_transpose as keras_layer
from pipeline.graph.keras_transposed import is_buildable
from pipeline.graph.neural import FILTERS, WINDOW, Neural, bias, biased


class Transposed(Neural):
    """Base class of transposed convolutions."""

    on_maps = data_format = transposed = True

    def _spread(self, kernel_function, node, x):
        attrs = node.attrs
        if attrs["dilation_rate"] != (1, 1):
            raise LayerError(
                node.name,
                f"a transposed convolution with dilation_rate"
                f" {attrs['dilation_rate']} is not supported; use (1, 1)",
            )
        y = kernel_function(x, node.weights["kernel"], attrs["strides"], attrs["padding"])
        return biased(node, y)

    def macs(self, node, source, shape):
        return math.prod(source[:-1]) * node.weights["kernel"].size


class Conv2DTranspose(Transposed):
    """Transposed convolution: each input pixel adds a multiple of the kernel to the output."""

    attributes = {**FILTERS, **WINDOW}
    keras = {"Conv2DTranspose": KerasRule(fixed={**ONE_GROUP, "output_padding": (None,)})}

    def weights(self, attrs, shape):
        # Keras stores this kernel as (height, width, filters, channels).
        kernel = (*attrs["kernel_size"], attrs["filters"], shape[-1])
        return {"kernel": kernel, **bias(attrs, attrs["filters"])}

    def output_shape(self, node, shape):
        return (*_enlarged(node, shape), node.attrs["filters"])

    def forward(self, node, x):
        return self._spread(conv2d_transpose, node, x)

    def per_input(self, kernel, values):
        return values

    def per_output(self, kernel, values):
        return values[:, None]


class DepthwiseConv2DTranspose(Transposed):
    """Depthwise transposed convolution: each channel has its own kernel."""

    attributes = {
        **WINDOW,
        "strides": Attribute(PAIR, (2, 2)),
        "padding": Attribute(PADDING, "same"),
    }
    depthwise = True
    keras = {"DepthwiseConv2DTranspose": KerasRule(fixed={**ONE_GROUP, "depth_multiplier": (1,)})}
    keras_variables = {"kernel": "depthwise_kernel"}
    in_keras = False

    def weights(self, attrs, shape):
        return {"kernel": (*attrs["kernel_size"], shape[-1], 1), **bias(attrs, shape[-1])}

    def output_shape(self, node, shape):
        return (*_enlarged(node, shape), shape[-1])

    def forward(self, node, x):
        return self._spread(depthwise_conv2d_transpose, node, x)

    def can_build_keras(self, attrs):
        return is_buildable(attrs)

    def build_keras(self, keras, attrs, name):
        return keras_layer(attrs, name)

    def per_output(self, kernel, values):
        return values.reshape(kernel.shape[2:])


def _enlarged(node, shape):
    for n, k, s in zip(shape[:2], node.attrs["kernel_size"], node.attrs["strides"], strict=True):
        yield n * s if node.attrs["padding"] == "same" else n * s + max(k - s, 0)


OPERATIONS = (Conv2DTranspose(), DepthwiseConv2DTranspose())
