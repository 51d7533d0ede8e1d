"""Refuse options of Keras layers that are unknown, or that would run code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.errors import ModelError
from pipeline.graph.keras_values import check_dtype
from pipeline.importers.layer_table import READ_AS

EVERY_LAYER = frozenset(
    {"name", "trainable", "dtype", "batch_input_shape", "batch_shape", "input_dtype", "dynamic"}
)
"""Options of every layer; the dtype is checked separately."""
TRAINING = ("_initializer", "_regularizer", "_constraint")
"""Suffixes of options that only training reads."""
_SCALES = ("alpha", "factor", "height_factor", "width_factor", "x_factor", "y_factor")
_COLOURS = ("brightness_factor", "contrast_factor", "hue_factor", "saturation_factor")
_MIXES = ("addition_factor", "all_ops", "chain_depth", "num_chains", "num_ops", "threshold_factor")
_FILLS = ("fill_mode", "fill_value", "interpolation", "value_range", "data_format", "seed")
AUGMENTATION = (*_SCALES, *_COLOURS, *_MIXES, *_FILLS, "mode", "kernel_size", "scale", "sigma")
"""Options of data augmentation layers."""
NOISE = ("rate", "seed", "noise_shape", "stddev", "data_format")

IDENTITIES: dict[str, tuple[str, ...]] = {
    "Identity": (),
    "ActivityRegularization": ("l1", "l2"),
    **dict.fromkeys(
        ("GaussianNoise", "GaussianDropout", "AlphaDropout", "SpatialDropout1D"), NOISE
    ),
    **dict.fromkeys(("RandomHeight", "RandomWidth", "RandomFlip", "RandomRotation"), AUGMENTATION),
    **dict.fromkeys(("RandomTranslation", "RandomZoom", "RandomContrast"), AUGMENTATION),
    **dict.fromkeys(("RandomBrightness", "RandomColorDegeneration"), AUGMENTATION),
    **dict.fromkeys(("RandomColorJitter", "RandomElasticTransform"), AUGMENTATION),
    **dict.fromkeys(("RandomErasing", "RandomGaussianBlur", "RandomGrayscale"), AUGMENTATION),
    **dict.fromkeys(("RandomHue", "RandomInvert", "RandomPerspective"), AUGMENTATION),
    **dict.fromkeys(("RandomPosterization", "RandomSaturation", "RandomSharpness"), AUGMENTATION),
    **dict.fromkeys(("RandomShear", "AugMix", "CutMix", "MixUp", "RandAugment"), AUGMENTATION),
}
"""Layers that are the identity in inference, with their options."""


def check_options(kind: str, config: Mapping[str, Any]) -> None:
    """Raise if a layer has unknown options or a dtype that is not float.

    Parameters
    ----------
    kind : str
        Class of the layer: a key of `READ_AS`, `IDENTITIES` or `SPECIAL`.
    config : mapping

    Raises
    ------
    ModelError
        The message lacks the layer's name.
    """
    known = _known(kind)
    for key, value in config.items():
        if key not in known and not (isinstance(key, str) and key.endswith(TRAINING)):
            text = repr(value)
            text = text if len(text) <= 40 else f"{text[:37]}..."
            raise ModelError(
                f"{kind} has the option '{key}' ({text}), whose meaning is not known here, so that"
                f" outputs could differ; known: {', '.join(sorted(known - EVERY_LAYER))}"
            )
    if kind != "InputLayer":
        check_dtype(config.get("dtype"))


def _known(kind) -> frozenset[str]:
    if kind in SPECIAL:
        return EVERY_LAYER.union(SPECIAL[kind])
    if kind in IDENTITIES:
        return EVERY_LAYER.union(IDENTITIES[kind])
    return EVERY_LAYER | READ_AS[kind].read_keys(kind)


SPECIAL = {
    # alpha: of QuantizeML's leaky_relu
    "Activation": ("activation", "alpha"),
    "Normalization": ("axis", "mean", "variance", "invert", "mean_and_var", "max_examples"),
    "Subtract": (),
    "Maximum": (),
    "Minimum": (),
}
"""Options of layers that are not in `READ_AS`."""
