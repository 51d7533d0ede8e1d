"""Take the input shape of an old Sequential from the kernel of its first Dense layer."""

from __future__ import annotations

from dataclasses import replace

from pipeline.importers.keras_model import KerasModel
from pipeline.importers.option_check import IDENTITIES

PASSING = ("Dropout", "SpatialDropout2D", "Activation", "ReLU", "LeakyReLU", "Rescaling")
"""Layers that leave a vector as long as it was."""


def with_input_shape(model: KerasModel) -> KerasModel:
    """Return a model whose input has a shape where the first weights say it.

    A Sequential that was saved before it was given a shape holds none; where its first layer with
    weights is a Dense, the kernel has a row for each value. (A convolution's kernel does not know
    the size of the images.)
    """
    first = model.layers[0]
    if first.class_name != "InputLayer" or not _unknown(first.config):
        return model
    for layer in model.layers[1:]:
        if layer.class_name == "Dense":
            kernel = model.weights(layer).get("kernel")
            if kernel is None or kernel.ndim != 2:
                return model
            config = {**first.config, "batch_input_shape": [None, len(kernel)]}
            return replace(model, layers=(replace(first, config=config), *model.layers[1:]))
        if layer.class_name not in (*PASSING, *IDENTITIES):
            return model
    return model


def _unknown(config):
    return config.get("batch_input_shape") is None and config.get("batch_shape") is None
