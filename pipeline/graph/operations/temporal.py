"""Temporal convolutions."""

from __future__ import annotations

import numpy as np

from pipeline.graph.attributes import COUNT, Attribute
from pipeline.graph.keras_form import KerasRule
from pipeline.graph.neural import FILTERS, USE_BIAS, Neural, bias, biased

FIFO = {"fifo_size": Attribute(COUNT), **USE_BIAS}
RULE = KerasRule(renamed={"fifo_size": "kernel_size"})


class BufferTempConv(Neural):
    """A 1x1 convolution over the channels of the last ``fifo_size`` images.

    A layer of QuantizeML, which Keras lacks.
    """

    attributes = {**FILTERS, **FIFO}
    temporal = True
    keras = {"BufferTempConv": RULE}
    in_keras = False

    def weights(self, attrs, shape):
        kernel = (1, 1, attrs["fifo_size"] * shape[-1], attrs["filters"])
        return {"kernel": kernel, **bias(attrs, attrs["filters"])}

    def output_shape(self, node, shape):
        return (*shape[:-1], node.attrs["filters"])

    def forward(self, node, *frames):
        y = np.matmul(np.concatenate(frames, -1), node.weights["kernel"][0, 0])
        return biased(node, y)

    def per_input(self, kernel, values):
        return np.tile(values, kernel.shape[2] // values.size)[:, None]


class DepthwiseBufferTempConv(Neural):
    """A weighted sum of the last ``fifo_size`` images, channel by channel.

    A layer of QuantizeML, which Keras lacks.
    """

    attributes = FIFO
    temporal = depthwise = True
    keras = {"DepthwiseBufferTempConv": RULE}
    in_keras = False

    def weights(self, attrs, shape):
        return {"kernel": (attrs["fifo_size"], shape[-1]), **bias(attrs, shape[-1])}

    def forward(self, node, *frames):
        kernel = node.weights["kernel"]
        y = sum(old * weights for old, weights in zip(frames, kernel, strict=True))
        return biased(node, y)

    def per_input(self, kernel, values):
        return values


OPERATIONS = (BufferTempConv(), DepthwiseBufferTempConv())
