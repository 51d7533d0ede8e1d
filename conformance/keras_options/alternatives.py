"""Non-default values of configuration keys."""

from __future__ import annotations

from typing import Any

ACTIVATIONS = (
    *("relu", "relu6", "leaky_relu", "silu", "swish", "gelu", "softmax", "sigmoid", "tanh"),
    *("linear", "elu", "selu", "softplus", "softsign", "exponential", "hard_sigmoid", "hard_silu"),
    *("hard_swish", "mish", "log_softmax", "celu", "glu", "hard_tanh", "hard_shrink"),
    *("log_sigmoid", "soft_shrink", "sparse_plus", "squareplus", "tanh_shrink", "threshold"),
)
DTYPES = (
    *("float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16"),
    *("uint8", "int32"),
)
PAIRS = (1, 2, 3, (1, 2), (2, 1), (3, 2))
BY_KEY: dict[str, tuple] = {
    "dtype": DTYPES,
    "activation": ACTIVATIONS,
    "data_format": ("channels_first", "channels_last"),
    "padding": ("same", "valid", "causal", 0, 2, (1, 2), ((1, 0), (0, 2)), ((0, 0), (3, 1))),
    "output_padding": (0, 1, (1, 0)),
    **dict.fromkeys(("kernel_size", "strides", "pool_size", "dilation_rate", "size"), PAIRS),
    "interpolation": ("nearest", "bilinear", "bicubic", "lanczos3", "area"),
    "axis": (1, 2, 3, -2, -3, [1], [3], [1, 2], [-1], [1, 2, 3], None, 0),
    "axes": (1, 2, [1, 2], -1),
    "shared_axes": ([1], [2], [3], [1, 2], [1, 2, 3], [-1], None),
    "target_shape": ((4, 27), (-1,), (27, -1), (108,), (2, 2, 27), (12, 9), (3, 4)),
    "dims": ((1, 3, 2), (2, 1, 3), (3, 2, 1), (2, 3, 1), (3, 1, 2), (2, 1)),
    "name": ("a/b", "_under", "Größe", "kernel"),
    "scale": (False, 0.5, -1.0, 0.0, [0.5, 1.0, 2.0], [2.0], "array", "column"),
    "offset": (0.5, -3.0, [0.5, 1.0, -2.0], [2.0], "array", "column"),
    "mean": (0.5, [0.5, 1.0, 2.0], "array", None),
    "variance": (0.5, [0.5, 1.0, 2.0], "array", None),
    "max_value": (None, 0.0, 0.5, 1.0, 3.0, 6.0, [2.0]),
    "negative_slope": (0.0, 0.1, 0.3, 1.0, 2.0, -0.5),
    "alpha": (0.0, 0.1, 0.3, 1.0, 2.0, -0.5),
    "threshold": (0.0, 0.5, 1.0, -0.5, 2.0),
    "rate": (0.0, 0.1, 0.9),
    "noise_shape": ([None, 1, 1, 3], [1, 1, 1, 3]),
    "seed": (1, 7),
    "groups": (1, 2, 3),
    "depth_multiplier": (1, 2, 3),
    "epsilon": (1e-5, 0.1, 1.0),
    "momentum": (0.0, 0.5),
    "renorm": (True,),
    "virtual_batch_size": (2,),
    "lora_rank": (1, 2),
    "mode": ("horizontal", "vertical"),
    "fill_mode": ("constant", "nearest", "wrap"),
    "mask_value": (1.0,),
    "normalize": (True,),
}
"""Values by the name of the key."""
BY_END = {
    "_initializer": ("he_normal",),
    "_regularizer": ("l2",),
    "_constraint": ("non_neg",),
}
UNKNOWN = (True, 1, 2, 0.5, "same", [1, 2])
"""Values for unknown keys, of which the layer may accept some."""
LEFT_OUT = ("batch_input_shape", "batch_shape")


def alternatives(key: str, default: Any) -> list[Any]:
    """Return values to try for a key, without its `default`.

    A key of a later Keras gets values by the type of its default.
    """
    if key in LEFT_OUT:
        return []
    found = BY_KEY.get(key)
    if found is None:
        found = next((values for end, values in BY_END.items() if key.endswith(end)), None)
    if found is None:
        found = _by_type(default)
    return [value for value in found if not _same(value, default)]


def _by_type(default):
    if isinstance(default, bool):
        return (not default,)
    if isinstance(default, int):
        return (1, 2, 3, 4)
    if isinstance(default, float):
        return (0.0, 0.5, 1.0, default * 2 + 0.1)
    if isinstance(default, list | tuple):
        return tuple(default[:-1]), (*default, 1), tuple(2 for _ in default)
    return UNKNOWN


def _same(value, default):
    """Return True if two values are equal and of one type; 1 is not True."""
    return type(value) is type(default) and repr(value) == repr(default)
