"""How the configuration of every Keras layer becomes the attributes of a node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import ModelError

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Rule:
    """One Keras layer class.

    Attributes
    ----------
    op : str
        Operation of the node.
    attrs : tuple of str
        Configuration keys that are attributes under the same name.
    renamed : mapping of str to str
        Attribute to configuration key where the names differ.
    fixed : mapping of str to tuple
        Configuration keys that must have one of these values (or be absent) to be represented.
    convert : function of config to attributes, or None
        For what the fields above cannot say.
    """

    op: str
    attrs: tuple[str, ...] = ()
    renamed: Mapping[str, str] = None
    fixed: Mapping[str, tuple] = None
    convert: Callable[[Config], dict[str, Any]] | None = None


CHANNELS_LAST = {"data_format": ("channels_last", None)}
_SQUARE = ("kernel_size", "strides", "padding", "dilation_rate", "use_bias")
_POOL = ("pool_size", "strides", "padding")


def scalar(value: Any) -> float | None:
    """Return a number that Keras may have stored as an array or a one-item list."""
    if isinstance(value, Mapping):
        value = value.get("config", {}).get("value", value.get("value"))
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ModelError(f"found {value!r} where one number is needed")
    return float(value)


def _relu(config):
    # Keras 2 once wrote `negative_slope` and `threshold` as null for 0.
    return {
        "max_value": scalar(config.get("max_value")),
        "negative_slope": scalar(config.get("negative_slope")) or 0.0,
        "threshold": scalar(config.get("threshold")) or 0.0,
    }


def _leaky_relu(config):
    slope = scalar(config.get("negative_slope", config.get("alpha", 0.3)))
    return {"negative_slope": slope}


def _prelu(config):
    return {"shared_axes": config.get("shared_axes")}


ACTIVATIONS = {
    "relu": ("ReLU", {}),
    "relu6": ("ReLU", {"max_value": 6.0}),
    "leaky_relu": ("Activation", {"activation": "leaky_relu", "alpha": 0.2}),
    "silu": ("Activation", {"activation": "swish"}),
    "swish": ("Activation", {"activation": "swish"}),
    "hard_silu": ("Activation", {"activation": "hard_silu"}),
    "hard_swish": ("Activation", {"activation": "hard_silu"}),
    "gelu": ("Activation", {"activation": "gelu"}),
    "softmax": ("Softmax", {}),
    "sigmoid": ("Activation", {"activation": "sigmoid"}),
    "tanh": ("Activation", {"activation": "tanh"}),
    "linear": ("Activation", {"activation": "linear"}),
}


def activation(value: Any) -> tuple[str, dict[str, Any]]:
    """Return (operation, attributes) of an activation named in a configuration.

    Raises
    ------
    ModelError
        For an activation that has no name, or one that is not known.
    """
    if isinstance(value, Mapping):
        # Keras may store a function as an object that names it.
        inner = value.get("config")
        value = inner if isinstance(inner, str) else value.get("class_name")
    name = str(value).rsplit(">", 1)[-1]
    if name not in ACTIVATIONS:
        raise ModelError(f"activation '{name}' is not known; known: {', '.join(ACTIVATIONS)}")
    op, attrs = ACTIVATIONS[name]
    return op, dict(attrs)


def _zero_padding(config):
    padding = config["padding"]
    if isinstance(padding, int):
        padding = ((padding, padding), (padding, padding))
    return {
        "padding": tuple((side, side) if isinstance(side, int) else tuple(side) for side in padding)
    }


def _rescaling(config):
    def value(name, default):
        found = config.get(name, default)
        if isinstance(found, list) and len(found) > 1:
            return tuple(float(item) for item in found)
        return scalar(found)

    return {"scale": value("scale", 1.0), "offset": value("offset", 0.0)}


def _average(config):
    return {"average": True}


def _softmax(config):
    axis = config.get("axis", -1)
    return {"axis": axis[0] if isinstance(axis, list) and len(axis) == 1 else axis}


def _batchnorm(config):
    return {
        "epsilon": scalar(config.get("epsilon", 1e-3)),
        "momentum": scalar(config.get("momentum", 0.99)),
    }


RULES: dict[str, Rule] = {
    "Rescaling": Rule("Rescaling", convert=_rescaling),
    "Conv2D": Rule("Conv2D", ("filters", *_SQUARE, "groups"), fixed=CHANNELS_LAST),
    "PaddedConv2D": Rule(
        "Conv2D", ("filters", *_SQUARE), fixed={**CHANNELS_LAST, "padding_value": (None,)}
    ),
    "DepthwiseConv2D": Rule(
        "DepthwiseConv2D", (*_SQUARE, "depth_multiplier"), fixed={**CHANNELS_LAST, "groups": (1,)}
    ),
    "SeparableConv2D": Rule(
        "SeparableConv2D",
        ("filters", *_SQUARE, "depth_multiplier"),
        fixed={**CHANNELS_LAST, "groups": (1,)},
    ),
    "Conv2DTranspose": Rule(
        "Conv2DTranspose",
        ("filters", *_SQUARE),
        fixed={**CHANNELS_LAST, "groups": (1,), "output_padding": (None,)},
    ),
    "DepthwiseConv2DTranspose": Rule(
        "DepthwiseConv2DTranspose",
        _SQUARE,
        fixed={**CHANNELS_LAST, "groups": (1,), "depth_multiplier": (1,)},
    ),
    "Dense": Rule("Dense", ("units", "use_bias")),
    "BatchNormalization": Rule("BatchNormalization", ("center", "scale"), convert=_batchnorm),
    "ReLU": Rule("ReLU", convert=_relu),
    "LeakyReLU": Rule("LeakyReLU", convert=_leaky_relu),
    "PReLU": Rule("PReLU", convert=_prelu),
    "Softmax": Rule("Softmax", convert=_softmax),
    "MaxPooling2D": Rule("MaxPooling2D", _POOL, fixed=CHANNELS_LAST),
    "AveragePooling2D": Rule("AveragePooling2D", _POOL, fixed=CHANNELS_LAST),
    "GlobalAveragePooling2D": Rule("GlobalAveragePooling2D", ("keepdims",), fixed=CHANNELS_LAST),
    "ZeroPadding2D": Rule("ZeroPadding2D", fixed=CHANNELS_LAST, convert=_zero_padding),
    "UpSampling2D": Rule("UpSampling2D", ("size", "interpolation"), fixed=CHANNELS_LAST),
    "Flatten": Rule("Flatten", fixed=CHANNELS_LAST),
    "Reshape": Rule("Reshape", ("target_shape",)),
    "Permute": Rule("Permute", ("dims",)),
    "Dropout": Rule("Dropout", ("rate",)),
    "SpatialDropout2D": Rule("Dropout", ("rate",)),
    "Add": Rule("Add", ("average",)),
    "Average": Rule("Add", convert=_average),
    "Concatenate": Rule("Concatenate", ("axis",)),
    "BufferTempConv": Rule(
        "BufferTempConv", ("filters", "use_bias"), renamed={"fifo_size": "kernel_size"}
    ),
    "DepthwiseBufferTempConv": Rule(
        "DepthwiseBufferTempConv", ("use_bias",), renamed={"fifo_size": "kernel_size"}
    ),
}
ALIASES = {
    "Convolution2D": "Conv2D",
    "SeparableConvolution2D": "SeparableConv2D",
    "MaxPool2D": "MaxPooling2D",
    "AvgPool2D": "AveragePooling2D",
    "GlobalAvgPool2D": "GlobalAveragePooling2D",
    "BatchNormalizationV2": "BatchNormalization",
    "BatchNormalizationV1": "BatchNormalization",
}


def node_attrs(rule: Rule, config: Config) -> dict[str, Any]:
    """Return the attributes of a node; attributes that the file leaves out are left out.

    Raises
    ------
    ModelError
        When the configuration asks for something that `rule` cannot represent; the message
        lacks the layer's name.
    """
    for key, allowed in (rule.fixed or {}).items():
        if key in config and config[key] not in allowed:
            shown = ", ".join(str(item) for item in allowed if item is not None) or "none"
            raise ModelError(f"{key} is {config[key]!r}; allowed: {shown}")
    attrs = {key: config[key] for key in rule.attrs if key in config}
    for attr, key in (rule.renamed or {}).items():
        if key in config:
            attrs[attr] = config[key]
    if rule.convert:
        attrs.update(rule.convert(config))
    return attrs


def input_attrs(config: Config) -> dict[str, Any]:
    """Return shape and dtype of an ``InputLayer``.

    Raises
    ------
    ModelError
        When a dimension is unknown; the message lacks the layer's name.
    """
    shape = config.get("batch_shape") or config.get("batch_input_shape")
    if not isinstance(shape, list) or not all(isinstance(n, int) and n > 0 for n in shape[1:]):
        raise ModelError(
            f"its shape is {shape}; every dimension but the first must be known: rebuild the"
            " model with a fixed input shape"
        )
    return {"shape": tuple(shape[1:]), "dtype": dtype_name(config.get("dtype"))}


def dtype_name(value: Any) -> str:
    """Return the name of a dtype or of the policy object that Keras 3 stores for it."""
    if isinstance(value, Mapping):
        value = value.get("config", {}).get("name")
    return str(value or "float32")
