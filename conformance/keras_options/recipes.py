"""Recipes to build one layer of each class, with its inputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

IMAGE, VECTOR, SEQUENCE = (6, 6, 3), (12,), (5, 4)


@dataclass(frozen=True)
class Recipe:
    """Way to build a layer with its inputs.

    Attributes
    ----------
    name : str
        Class in ``keras.layers``.
    options : dict
        Arguments that it requires, or without which other options have no effect.
    shape : tuple of int
        Input shape without the batch.
    inputs : int
        Number of input tensors, passed as a list if more than 1.
    brief : bool
        True for further shapes of a class: options that do not depend on the shape are skipped.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    shape: tuple[int, ...] = IMAGE
    inputs: int = 1
    brief: bool = False


CONV, HALVING = {"kernel_size": 3}, {"strides": 2, "padding": "same"}
RECIPES = (
    Recipe("Conv2D", {"filters": 6, **CONV}),
    Recipe("Conv2D", {"filters": 6, "kernel_size": 2, "strides": 2, "padding": "same"}, brief=True),
    Recipe("DepthwiseConv2D", CONV),
    Recipe("SeparableConv2D", {"filters": 4, **CONV}),
    Recipe("Conv2DTranspose", {"filters": 4, **CONV}),
    Recipe(
        "Conv2DTranspose",
        {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"},
        brief=True,
    ),
    Recipe("Dense", {"units": 5}, VECTOR),
    Recipe("Dense", {"units": 5}, SEQUENCE, brief=True),
    Recipe("Dense", {"units": 5}, IMAGE, brief=True),
    Recipe("BatchNormalization"),
    Recipe("BatchNormalization", {}, VECTOR, brief=True),
    Recipe("BatchNormalization", {}, SEQUENCE, brief=True),
    Recipe("ReLU"),
    Recipe("ReLU", {"max_value": 2.0, "negative_slope": 0.1, "threshold": 0.5}, brief=True),
    Recipe("ReLU", {}, VECTOR, brief=True),
    Recipe("LeakyReLU"),
    Recipe("PReLU"),
    Recipe("PReLU", {}, VECTOR, brief=True),
    Recipe("Softmax"),
    Recipe("Softmax", {}, VECTOR, brief=True),
    Recipe("Activation", {"activation": "relu"}),
    Recipe("Activation", {"activation": "relu"}, VECTOR, brief=True),
    Recipe("MaxPooling2D"),
    Recipe("MaxPooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, brief=True),
    Recipe("AveragePooling2D", {"pool_size": 2}),
    Recipe("AveragePooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, brief=True),
    Recipe("GlobalAveragePooling2D"),
    Recipe("ZeroPadding2D"),
    Recipe("UpSampling2D"),
    Recipe("Flatten"),
    Recipe("Flatten", {}, VECTOR, brief=True),
    Recipe("Reshape", {"target_shape": (9, 12)}),
    Recipe("Reshape", {"target_shape": (6, 2)}, VECTOR, brief=True),
    Recipe("Permute", {"dims": (2, 1, 3)}),
    Recipe("Rescaling", {"scale": 0.25}),
    Recipe("Rescaling", {"scale": 0.25, "offset": -1.0}, VECTOR, brief=True),
    Recipe("Normalization", {"mean": 0.5, "variance": 4.0}),
    Recipe("Normalization", {"mean": [0.5, 1.0, 2.0], "variance": [4.0, 1.0, 0.25]}, brief=True),
    Recipe("Normalization", brief=True),
    Recipe("Normalization", {}, VECTOR, brief=True),
    Recipe("Dropout", {"rate": 0.5}),
    Recipe("SpatialDropout2D", {"rate": 0.5}),
    Recipe("SpatialDropout1D", {"rate": 0.5}, SEQUENCE),
    Recipe("GaussianNoise", {"stddev": 0.5}),
    Recipe("GaussianDropout", {"rate": 0.5}),
    Recipe("AlphaDropout", {"rate": 0.5}),
    Recipe("ActivityRegularization", {"l1": 0.1}),
    Recipe("Identity"),
    Recipe("Add", inputs=2),
    Recipe("Add", {}, VECTOR, inputs=3, brief=True),
    Recipe("Average", inputs=3),
    Recipe("Subtract", inputs=2),
    Recipe("Maximum", inputs=2),
    Recipe("Minimum", inputs=3),
    Recipe("GlobalMaxPooling2D"),
    Recipe("Cropping2D"),
    Recipe("Conv1D", {"filters": 6, "kernel_size": 2}, SEQUENCE),
    Recipe("SeparableConv1D", {"filters": 3, "kernel_size": 2}, SEQUENCE),
    Recipe("DepthwiseConv1D", {"kernel_size": 2}, SEQUENCE),
    Recipe("MaxPooling1D", {}, SEQUENCE),
    Recipe("AveragePooling1D", {"pool_size": 2}, SEQUENCE),
    Recipe("GlobalAveragePooling1D", {}, SEQUENCE),
    Recipe("GlobalMaxPooling1D", {}, SEQUENCE),
    Recipe("UpSampling1D", {}, SEQUENCE),
    Recipe("ZeroPadding1D", {}, SEQUENCE),
    Recipe("Cropping1D", {}, SEQUENCE),
    Recipe("Concatenate", inputs=2),
    Recipe("Concatenate", {}, VECTOR, inputs=3, brief=True),
)
"""Supported layers."""

FACTOR = {"factor": 0.2}
AUGMENTATIONS = (
    *(Recipe(name) for name in ("RandomFlip", "AugMix", "CutMix", "MixUp", "RandAugment")),
    *(Recipe(name) for name in ("RandomColorJitter", "RandomElasticTransform", "RandomErasing")),
    *(Recipe(name) for name in ("RandomGaussianBlur", "RandomGrayscale", "RandomPerspective")),
    *(Recipe(name) for name in ("RandomInvert", "RandomShear")),
    *(Recipe(name, FACTOR) for name in ("RandomBrightness", "RandomContrast", "RandomHue")),
    *(Recipe(name, FACTOR) for name in ("RandomColorDegeneration", "RandomRotation")),
    *(Recipe(name, FACTOR) for name in ("RandomSaturation", "RandomSharpness")),
    *(Recipe(name, FACTOR) for name in ("RandomHeight", "RandomWidth")),
    Recipe("RandomPosterization", {"factor": 4}),
    Recipe("RandomTranslation", {"height_factor": 0.2, "width_factor": 0.2}),
    Recipe("RandomZoom", {"height_factor": 0.2}),
)
"""Layers that change images only in training."""

UNREAD = (
    *(Recipe(name) for name in ("LayerNormalization", "UnitNormalization")),
    *(Recipe(name) for name in ("ELU", "AutoContrast", "Solarization", "Equalization")),
    Recipe("Multiply", inputs=2),
    Recipe("GroupNormalization", {"groups": 3}),
    Recipe("Resizing", {"height": 3, "width": 3}),
    Recipe("CenterCrop", {"height": 4, "width": 4}),
    Recipe("RandomCrop", {"height": 4, "width": 4}),
    Recipe("Masking", {}, SEQUENCE),
    Recipe("RepeatVector", {"n": 3}, VECTOR),
    Recipe("LSTM", {"units": 3}, SEQUENCE),
    Recipe("GRU", {"units": 3}, SEQUENCE),
    Recipe("SimpleRNN", {"units": 3}, SEQUENCE),
    Recipe("Dot", {"axes": 1}, VECTOR, inputs=2),
    Recipe("Discretization", {"bin_boundaries": [0.0, 1.0]}, VECTOR),
)
"""Unsupported layers, refused by name with any options."""
