"""Distinguish Keras' classes and functions in a file from those of users and vendors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.errors import ModelError

KERAS_MODULES = ("keras", "tf_keras", "tensorflow.keras", "tensorflow.python.keras")
OPERATIONS_MODULES = ("keras.src.ops", "keras.ops", "keras.src.activations", "keras.activations")
VENDOR_CLASSES = (
    *("InputQuantizer", "Dequantizer", "ActivationDiscreteRelu", "PaddedConv2D"),
    *("BufferTempConv", "DepthwiseBufferTempConv", "DepthwiseConv2DTranspose"),
    "PruneLowMagnitude",
)
"""Layers of BrainChip's and TensorFlow's tools, besides those that start with ``Quantized``.

None has the name of a Keras layer, so that the name alone identifies them.
"""
KERAS_MODELS = ("Functional", "Model", "Sequential")


def class_name(entry: Mapping[str, Any]) -> str:
    """Return the class of a layer or model in a configuration.

    Returns
    -------
    str
        The bare name for Keras' own classes and for `VENDOR_CLASSES`, ``ops.Name`` for Keras 3's
        operations on tensors, and ``package>Name`` or ``module>Name`` for everything else.
    """
    name = str(entry["class_name"])
    package, _, bare = name.rpartition(">")
    registered = str(entry.get("registered_name") or "")
    if not package:
        package = registered.rpartition(">")[0]
    if _is_vendor(bare):
        return bare
    if package:
        return f"{package}>{bare}"
    module = entry.get("module")
    if module is None:
        return bare
    if not isinstance(module, str) or not _inside(module, KERAS_MODULES):
        return f"{module}>{bare}"
    return f"ops.{bare}" if _inside(module, OPERATIONS_MODULES) else bare


def bare_class_name(entry: Mapping[str, Any]) -> str:
    """Return the name of a class without package and module, as used in the names of variables."""
    return str(entry["class_name"]).rpartition(">")[2]


def is_foreign(name: str) -> bool:
    """Return True if a `class_name` is that of a user-defined class."""
    return ">" in name


def function_name(value: Any) -> str:
    """Return the name of one of Keras' functions, such as an activation.

    Raises
    ------
    ModelError
        If the function is user-defined: registered under a package, or stored as an object.
    """
    if isinstance(value, Mapping):
        found = value.get("config")
        found = found if isinstance(found, str) else value.get("class_name")
        raise ModelError(_own_function(found))
    name = str(value)
    if ">" in name:
        raise ModelError(_own_function(name))
    return name


def _own_function(name):
    return (
        f"function '{name}' is user-defined, not Keras'; code from a model file is never run:"
        " use an activation that Keras itself has, by its name"
    )


def _is_vendor(bare):
    return bare.startswith("Quantized") or bare in VENDOR_CLASSES


def _inside(module, packages):
    return any(module == package or module.startswith(f"{package}.") for package in packages)
