"""Derive the input shape of an old Sequential from the kernel of its first Dense layer."""

from __future__ import annotations

from dataclasses import replace

from pipeline.importers.keras_model import KerasModel
from pipeline.importers.option_check import IDENTITIES

LENGTH_PRESERVING = ("Dropout", "SpatialDropout2D", "Activation", "ReLU", "LeakyReLU", "Rescaling")
"""Layers that keep the length of a vector."""


def with_input_shape(model: KerasModel) -> KerasModel:
    """Return the model with its input's shape, if the first weights determine it.

    A Sequential that was saved before it was built has no input shape; if its first layer with
    weights is a Dense, the kernel has one row per input value. (The kernel of a convolution does
    not depend on the image size.)
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
        if layer.class_name not in (*LENGTH_PRESERVING, *IDENTITIES):
            return model
    return model


def _unknown(config):
    return config.get("batch_input_shape") is None and config.get("batch_shape") is None
