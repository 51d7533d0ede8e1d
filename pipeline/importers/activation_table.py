"""Map activations to operations: by name, as a layer, as a function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.errors import ModelError
from pipeline.graph.operations import OPERATIONS
from pipeline.importers.keras_classes import class_name, function_name
from pipeline.importers.layer_table import READ_AS
from pipeline.importers.option_check import check_options

ACTIVATIONS = {
    name: (operation.name, attrs)
    for operation in OPERATIONS.values()
    for name, attrs in operation.keras_activations.items()
}
"""Operation and attributes by Keras' name of a function."""


def activation(value: Any) -> tuple[str, dict[str, Any]]:
    """Return (operation, attributes) of an activation in a configuration.

    Raises
    ------
    ModelError
        If an activation has no name, is user-defined, or is unknown.
    """
    if isinstance(value, Mapping) and isinstance(value.get("config"), Mapping):
        return _layer(value)
    name = function_name(value)
    if name not in ACTIVATIONS:
        raise ModelError(
            f"activation '{name}' is not known; known: {', '.join(ACTIVATIONS)}; use one"
            " of them and retrain"
        )
    op, attrs = ACTIVATIONS[name]
    return op, dict(attrs)


def _layer(entry):
    """Return (operation, attributes) of a layer used as an activation."""
    kind = class_name(entry)
    if kind not in ("ReLU", "LeakyReLU", "Softmax"):
        raise ModelError(
            f"activation '{kind}' is not known; known layers: ReLU, LeakyReLU, Softmax"
        )
    check_options(kind, entry["config"])
    operation = READ_AS[kind]
    return operation.name, operation.read_keras(kind, entry["config"])
