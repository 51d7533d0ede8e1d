"""How the configuration of every Keras layer becomes the attributes of a node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import ModelError
from pipeline.graph.operations import OPERATIONS
from pipeline.importers.activation_table import relu
from pipeline.importers.config_values import (
    HALF_PRECISION,
    dtype_name,
    flag,
    numbers,
    scalar,
)

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
    reads : tuple of str
        Configuration keys that `convert` reads.
    ignored : tuple of str
        Configuration keys without influence on inference, beyond those of every layer.
    """

    op: str
    attrs: tuple[str, ...] = ()
    renamed: Mapping[str, str] = None
    fixed: Mapping[str, tuple] = None
    convert: Callable[[Config], dict[str, Any]] | None = None
    reads: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


CHANNELS_LAST = {"data_format": ("channels_last", None)}
PLAIN_WEIGHTS = dict.fromkeys(
    ("lora_rank", "lora_alpha", "quantization_mode", "quantization_config"), (None,)
)
"""What Keras 3 can change about kernels."""
_RENORM = {"renorm": (False, None), "renorm_clipping": (None,), "virtual_batch_size": (None,)}
_SQUARE = ("kernel_size", "strides", "padding", "dilation_rate", "use_bias")
_POOL = ("pool_size", "strides", "padding")


def _relu(config):
    return relu(*(config.get(key) for key in ("max_value", "negative_slope", "threshold")))


def _leaky_relu(config):
    slope = scalar(config.get("negative_slope", config.get("alpha", 0.3)))
    return {"negative_slope": slope}


def _zero_padding(config):
    padding = config["padding"]
    if isinstance(padding, int):
        padding = ((padding, padding), (padding, padding))
    return {
        "padding": tuple((side, side) if isinstance(side, int) else tuple(side) for side in padding)
    }


def _rescaling(config):
    return {
        "scale": numbers(config.get("scale", 1.0)),
        "offset": numbers(config.get("offset", 0.0)),
    }


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
    "Rescaling": Rule("Rescaling", convert=_rescaling, reads=("scale", "offset")),
    "Conv2D": Rule(
        "Conv2D", ("filters", *_SQUARE, "groups"), fixed={**CHANNELS_LAST, **PLAIN_WEIGHTS}
    ),
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
    "Dense": Rule("Dense", ("units", "use_bias"), fixed=PLAIN_WEIGHTS),
    "BatchNormalization": Rule(
        "BatchNormalization",
        ("center", "scale"),
        fixed=_RENORM,
        convert=_batchnorm,
        # The axis is checked where the shape is known.
        reads=("epsilon", "momentum", "axis"),
        ignored=("synchronized", "fused", "renorm_momentum"),
    ),
    "ReLU": Rule("ReLU", convert=_relu, reads=("max_value", "negative_slope", "threshold")),
    "LeakyReLU": Rule("LeakyReLU", convert=_leaky_relu, reads=("negative_slope", "alpha")),
    "PReLU": Rule("PReLU", ("shared_axes",)),
    "Softmax": Rule("Softmax", convert=_softmax, reads=("axis",)),
    "MaxPooling2D": Rule("MaxPooling2D", _POOL, fixed=CHANNELS_LAST),
    "AveragePooling2D": Rule("AveragePooling2D", _POOL, fixed=CHANNELS_LAST),
    "GlobalAveragePooling2D": Rule("GlobalAveragePooling2D", ("keepdims",), fixed=CHANNELS_LAST),
    "ZeroPadding2D": Rule(
        "ZeroPadding2D", fixed=CHANNELS_LAST, convert=_zero_padding, reads=("padding",)
    ),
    "UpSampling2D": Rule("UpSampling2D", ("size", "interpolation"), fixed=CHANNELS_LAST),
    "Flatten": Rule("Flatten", fixed=CHANNELS_LAST),
    "Reshape": Rule("Reshape", ("target_shape",)),
    "Permute": Rule("Permute", ("dims",)),
    "Dropout": Rule("Dropout", ("rate",), ignored=("seed", "noise_shape")),
    "SpatialDropout2D": Rule("Dropout", ("rate",), ignored=("seed", "noise_shape", "data_format")),
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
    defaults = OPERATIONS[rule.op].attrs
    return {
        key: flag(value) if isinstance(defaults.get(key), bool) else value
        for key, value in attrs.items()
    }


def input_attrs(config: Config) -> dict[str, Any]:
    """Return shape and dtype of an ``InputLayer``.

    Raises
    ------
    ModelError
        When a dimension is unknown; the message lacks the layer's name.
    """
    shape = config.get("batch_shape") or config.get("batch_input_shape")
    if shape is None:
        raise ModelError(
            "the file does not hold the model's input shape, since the model was saved before it"
            " saw an image; build it again with a keras.Input of fixed shape in front"
        )
    if not isinstance(shape, list) or not all(isinstance(n, int) and n > 0 for n in shape[1:]):
        raise ModelError(
            f"its shape is {shape}; every dimension but the first must be known: rebuild the"
            " model with a fixed input shape"
        )
    if config.get("sparse") or config.get("ragged"):
        raise ModelError("its tensors are sparse or ragged; allowed: dense ones")
    return {"shape": tuple(shape[1:]), "dtype": _input_dtype(config.get("dtype"))}


def _input_dtype(value):
    name = dtype_name(value)
    if name in ("float16", "bfloat16", "mixed_bfloat16"):
        raise ModelError(
            f"its dtype is '{name}', so that images are rounded before the first layer; allowed:"
            " float32 and whole numbers"
        )
    return "float32" if name == HALF_PRECISION else name
