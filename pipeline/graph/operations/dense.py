"""Fully connected layers."""

from __future__ import annotations

import numpy as np

from pipeline.graph.attributes import COUNT, Attribute
from pipeline.graph.keras_form import PLAIN_WEIGHTS, KerasRule
from pipeline.graph.neural import USE_BIAS, Neural, bias, biased


class Dense(Neural):
    """Matrix product along the last axis."""

    attributes = {"units": Attribute(COUNT), **USE_BIAS}
    keras = {"Dense": KerasRule(fixed=PLAIN_WEIGHTS)}

    def weights(self, attrs, shape):
        return {"kernel": (shape[-1], attrs["units"]), **bias(attrs, attrs["units"])}

    def output_shape(self, node, shape):
        return (*shape[:-1], node.attrs["units"])

    def forward(self, node, x):
        return biased(node, np.matmul(x, node.weights["kernel"]))


OPERATIONS = (Dense(),)
