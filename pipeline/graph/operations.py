"""The closed vocabulary of operations: attributes, weights and ranks of each.

Attribute names and defaults are those of the Keras layers of the same name; what Keras offers
beyond this table (other activations, data formats, initializers) has no counterpart on Akida.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Shape = tuple[int, ...]
WeightShapes = Callable[[Mapping[str, Any], Shape], dict[str, Shape]]


def _none(attrs, shape):
    return {}


def _bias(attrs, size):
    return {"bias": (size,)} if attrs["use_bias"] else {}


def _conv(attrs, shape):
    kernel = (*attrs["kernel_size"], shape[-1] // attrs["groups"], attrs["filters"])
    return {"kernel": kernel, **_bias(attrs, attrs["filters"])}


def _depthwise(attrs, shape):
    multiplier = attrs["depth_multiplier"]
    kernel = (*attrs["kernel_size"], shape[-1], multiplier)
    return {"kernel": kernel, **_bias(attrs, shape[-1] * multiplier)}


def _separable(attrs, shape):
    multiplier = attrs["depth_multiplier"]
    return {
        "depthwise_kernel": (*attrs["kernel_size"], shape[-1], multiplier),
        "pointwise_kernel": (1, 1, shape[-1] * multiplier, attrs["filters"]),
        **_bias(attrs, attrs["filters"]),
    }


def _conv_transpose(attrs, shape):
    # Keras keeps the kernel of a transposed convolution as (height, width, filters, channels).
    kernel = (*attrs["kernel_size"], attrs["filters"], shape[-1])
    return {"kernel": kernel, **_bias(attrs, attrs["filters"])}


def _depthwise_transpose(attrs, shape):
    return {"kernel": (*attrs["kernel_size"], shape[-1], 1), **_bias(attrs, shape[-1])}


def _dense(attrs, shape):
    return {"kernel": (shape[-1], attrs["units"]), **_bias(attrs, attrs["units"])}


def _batchnorm(attrs, shape):
    names = ("gamma",) * attrs["scale"] + ("beta",) * attrs["center"]
    return {name: (shape[-1],) for name in (*names, "moving_mean", "moving_variance")}


def _buffer_temp_conv(attrs, shape):
    kernel = (1, 1, attrs["fifo_size"] * shape[-1], attrs["filters"])
    return {"kernel": kernel, **_bias(attrs, attrs["filters"])}


def _depthwise_buffer_temp_conv(attrs, shape):
    return {"kernel": (attrs["fifo_size"], shape[-1]), **_bias(attrs, shape[-1])}


def _prelu(attrs, shape):
    shared = {axis - 1 for axis in attrs["shared_axes"] or ()}
    return {"alpha": tuple(1 if axis in shared else n for axis, n in enumerate(shape))}


REQUIRED = object()


@dataclass(frozen=True)
class Operation:
    """What a node of one type carries.

    Attributes
    ----------
    attrs : mapping
        Attribute name to default; `REQUIRED` where there is none.
    weights : function of (attrs, input shape) to {name: shape}
        The weights that a node must hold.
    arity : int
        Number of inputs; 0 for ``Input``, -1 for two or more.
    """

    attrs: Mapping[str, Any] = field(default_factory=dict)
    weights: WeightShapes = _none
    arity: int = 1


_WINDOW = {
    "kernel_size": REQUIRED,
    "strides": (1, 1),
    "padding": "valid",
    "dilation_rate": (1, 1),
    "use_bias": True,
}
_POOL = {"pool_size": (2, 2), "strides": None, "padding": "valid"}

OPERATIONS: dict[str, Operation] = {
    "Input": Operation({"shape": REQUIRED, "dtype": "uint8"}, arity=0),
    "Rescaling": Operation({"scale": REQUIRED, "offset": 0.0}),
    # padding_value: None, or the floats (one, or one per channel) that "same" padding writes
    "Conv2D": Operation(
        {"filters": REQUIRED, **_WINDOW, "groups": 1, "padding_value": None}, _conv
    ),
    "DepthwiseConv2D": Operation({**_WINDOW, "depth_multiplier": 1}, _depthwise),
    "SeparableConv2D": Operation(
        {"filters": REQUIRED, **_WINDOW, "depth_multiplier": 1}, _separable
    ),
    "Conv2DTranspose": Operation({"filters": REQUIRED, **_WINDOW}, _conv_transpose),
    "DepthwiseConv2DTranspose": Operation(
        {**_WINDOW, "strides": (2, 2), "padding": "same"}, _depthwise_transpose
    ),
    "Dense": Operation({"units": REQUIRED, "use_bias": True}, _dense),
    "BatchNormalization": Operation(
        {"axis": -1, "epsilon": 1e-3, "momentum": 0.99, "center": True, "scale": True}, _batchnorm
    ),
    "ReLU": Operation({"max_value": None, "negative_slope": 0.0, "threshold": 0.0}),
    # The discrete ReLU of Akida 1.0 training: 2**bits - 1 equal steps up to max_value.
    "QuantizedReLU": Operation({"bits": REQUIRED, "max_value": 6.0}),
    "LeakyReLU": Operation({"negative_slope": 0.3}),
    "PReLU": Operation({"shared_axes": None}, _prelu),
    # softmax, sigmoid, tanh, gelu, swish, hard_silu, leaky_relu, linear; alpha: leaky_relu only
    "Activation": Operation({"activation": REQUIRED, "alpha": 0.0}),
    "Softmax": Operation({"axis": -1}),
    "MaxPooling2D": Operation(_POOL),
    "AveragePooling2D": Operation(_POOL),
    "GlobalAveragePooling2D": Operation({"keepdims": False}),
    "ZeroPadding2D": Operation({"padding": ((1, 1), (1, 1))}),
    "UpSampling2D": Operation({"size": (2, 2), "interpolation": "nearest"}),
    "Flatten": Operation(),
    "Reshape": Operation({"target_shape": REQUIRED}),
    "Permute": Operation({"dims": REQUIRED}),
    "Dropout": Operation({"rate": 0.0}),
    "Add": Operation({"average": False}, arity=-1),
    "Concatenate": Operation({"axis": -1}, arity=-1),
    "BufferTempConv": Operation(
        {"filters": REQUIRED, "fifo_size": REQUIRED, "use_bias": True}, _buffer_temp_conv
    ),
    "DepthwiseBufferTempConv": Operation(
        {"fifo_size": REQUIRED, "use_bias": True}, _depthwise_buffer_temp_conv
    ),
}

NEURAL_OPS = (
    "Conv2D",
    "DepthwiseConv2D",
    "SeparableConv2D",
    "Conv2DTranspose",
    "DepthwiseConv2DTranspose",
    "Dense",
    "BufferTempConv",
    "DepthwiseBufferTempConv",
)
"""Operations with a kernel: what the vendor's documents call neural layers."""
