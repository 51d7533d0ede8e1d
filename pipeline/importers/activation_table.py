"""How activations become operations: by name, as a layer, as a function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.errors import ModelError
from pipeline.importers.config_values import scalar
from pipeline.importers.keras_classes import class_name, function_name

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
    """Return (operation, attributes) of an activation in a configuration.

    Raises
    ------
    ModelError
        For an activation that has no name, is a user's own, or is not known.
    """
    if isinstance(value, Mapping) and isinstance(value.get("config"), Mapping):
        return _layer(value)
    name = function_name(value)
    if name not in ACTIVATIONS:
        raise ModelError(f"activation '{name}' is not known; known: {', '.join(ACTIVATIONS)}")
    op, attrs = ACTIVATIONS[name]
    return op, dict(attrs)


def _layer(entry):
    """Return what a layer that is used as an activation computes."""
    # The table of layers needs this module.
    from pipeline.importers.layer_table import RULES, node_attrs
    from pipeline.importers.option_check import check_options

    kind = class_name(entry)
    if kind not in ("ReLU", "LeakyReLU", "Softmax"):
        raise ModelError(
            f"activation '{kind}' is not known; known layers: ReLU, LeakyReLU, Softmax"
        )
    check_options(kind, entry["config"])
    return RULES[kind].op, node_attrs(RULES[kind], entry["config"])


def relu(max_value: Any, slope: Any, threshold: Any) -> dict[str, Any]:
    """Return the attributes of a ``ReLU``; None for what is left out."""
    # Keras 2 once wrote `negative_slope` and `threshold` as null for 0.
    return {
        "max_value": scalar(max_value),
        "negative_slope": scalar(slope) or 0.0,
        "threshold": scalar(threshold) or 0.0,
    }
