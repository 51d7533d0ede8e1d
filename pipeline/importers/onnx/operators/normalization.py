"""Normalization."""

from __future__ import annotations

import numpy as np

from pipeline.errors import ModelError
from pipeline.importers.onnx.call import Call, Rule
from pipeline.importers.onnx.tensor import MAP, Tensor

WEIGHTS = ("gamma", "beta", "moving_mean", "moving_variance")


def batch_normalization(call: Call) -> Tensor:
    """Read a BatchNormalization with its statistics, for channels of a map or of a vector."""
    if call.attr("training_mode", 0):
        raise ModelError("it measures each batch (training_mode); export it for inference")
    if not call.attr("spatial", 1):
        raise ModelError("its spatial is 0; allowed: 1, statistics for each channel")
    if len([name for name in call.node.outputs if name]) > 1:
        raise ModelError("it has several outputs, as in training; export it for inference")
    tensor = call.tensor()
    if len(tensor.shape) == 3:
        tensor = call.builder.ordered(tensor, MAP, call.name)
    elif len(tensor.shape) != 1:
        raise ModelError(f"its input has the sizes {tensor.shape}; allowed: a map or a vector")
    weights = {name: call.weights(index, 1) for index, name in enumerate(WEIGHTS, 1)}
    if np.any(weights["moving_variance"] < 0):
        raise ModelError("its variance is negative; the file is damaged")
    if len(tensor.shape) == 1 and {len(w) for w in weights.values()} == set(tensor.shape):
        weights = {name: array[tensor.rows()] for name, array in weights.items()}
    attrs = {"epsilon": call.attr("epsilon", 1e-5)}
    return call.pointwise(tensor, "BatchNormalization", attrs, weights)


RULES = {
    "BatchNormalization": Rule(
        read=batch_normalization,
        attributes=("epsilon", "momentum", "spatial", "training_mode"),
        keeps_shape=True,
    )
}
