"""Pooling."""

from __future__ import annotations

import numpy as np

from pipeline.graph.attributes import FLAG, PADDING, PAIR, Attribute
from pipeline.graph.float_kernels import max_pool, sum_pool
from pipeline.graph.keras_form import KerasRule, along_steps
from pipeline.graph.operation import Operation
from pipeline.graph.windows import padded, windowed_shape

POOL_OF_STEPS = along_steps("pool_size", "strides")


class Windowed(Operation):
    """Base class of poolings; strides of None are the window's size."""

    attributes = {
        "pool_size": Attribute(PAIR, (2, 2)),
        "strides": Attribute(PAIR, None),
        "padding": Attribute(PADDING, "valid"),
    }
    on_maps = data_format = pooling = True

    def output_shape(self, node, shape):
        return windowed_shape(node, shape, node.attrs["pool_size"], shape[-1])


class MaxPooling2D(Windowed):
    """Maximum of each window."""

    moves_only = True
    keras = {
        "MaxPooling2D": KerasRule(aliases=("MaxPool2D",)),
        "MaxPooling1D": KerasRule(convert=POOL_OF_STEPS, aliases=("MaxPool1D",)),
    }

    def forward(self, node, x):
        pool = node.attrs["pool_size"]
        return max_pool(padded(node, x, pool, -np.inf), pool, node.attrs["strides"] or pool)


class AveragePooling2D(Windowed):
    """Mean of each window, without the padding."""

    keras = {
        "AveragePooling2D": KerasRule(aliases=("AvgPool2D",)),
        "AveragePooling1D": KerasRule(convert=POOL_OF_STEPS, aliases=("AvgPool1D",)),
    }

    def forward(self, node, x):
        pool = node.attrs["pool_size"]
        strides = node.attrs["strides"] or pool
        counts = padded(node, np.ones((1, *x.shape[1:3], 1), np.float32), pool)
        total = sum_pool(padded(node, x, pool), pool, strides)
        return total / sum_pool(counts, pool, strides)


class GlobalAveragePooling2D(Operation):
    """Mean of the whole map."""

    attributes = {"keepdims": Attribute(FLAG, False)}
    keras = {
        "GlobalAveragePooling2D": KerasRule(aliases=("GlobalAvgPool2D",)),
        "GlobalAveragePooling1D": KerasRule(aliases=("GlobalAvgPool1D",)),
    }
    on_maps = data_format = pooling = True

    def output_shape(self, node, shape):
        return (1, 1, shape[-1]) if node.attrs["keepdims"] else (shape[-1],)

    def forward(self, node, x):
        return x.mean((1, 2), keepdims=node.attrs["keepdims"])


class GlobalMaxPooling2D(GlobalAveragePooling2D):
    """The largest value of the whole map."""

    moves_only = True
    keras = {
        "GlobalMaxPooling2D": KerasRule(aliases=("GlobalMaxPool2D",)),
        "GlobalMaxPooling1D": KerasRule(aliases=("GlobalMaxPool1D",)),
    }

    def forward(self, node, x):
        return x.max((1, 2), keepdims=node.attrs["keepdims"])


OPERATIONS = (
    MaxPooling2D(),
    AveragePooling2D(),
    GlobalAveragePooling2D(),
    GlobalMaxPooling2D(),
)
