"""The layers and quantizers of cnn2snn's legacy ``.h5``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.errors import ModelError
from pipeline.formats.bit_widths import bit_width
from pipeline.graph.keras_values import scalar
from pipeline.quantization.legacy_graph import WeightQuantizer

KERNELS = {
    "QuantizedConv2D": ("Conv2D", {"kernel": "quantizer"}),
    "QuantizedDense": ("Dense", {"kernel": "quantizer"}),
    "QuantizedSeparableConv2D": (
        "SeparableConv2D",
        {"depthwise_kernel": "quantizer_dw", "pointwise_kernel": "quantizer"},
    ),
}
"""By class: the operation and, for each kernel, the configuration key of its quantizer."""
CLASSES = {op: kind for kind, (op, _) in KERNELS.items()}
"""Classes by operation."""
RANGES = {
    "MaxQuantizer": "max",
    "MaxPerAxisQuantizer": "max_per_axis",
    "StdQuantizer": "std",
    "StdWeightQuantizer": "std",
    "StdPerAxisQuantizer": "std_per_axis",
}
"""Ranges of `WeightQuantizer` by class."""
WRITTEN = {"max": "MaxQuantizer", "max_per_axis": "MaxPerAxisQuantizer"}
"""Classes that are written, by range; any factor that they can have is one of theirs."""
MODULE = "cnn2snn.quantization_ops"
RELU, DISCRETE_RELU = "QuantizedReLU", "ActivationDiscreteRelu"
ACTIVATIONS = (RELU, DISCRETE_RELU)
PLAIN = (
    *("InputLayer", "Rescaling", "MaxPooling2D", "GlobalAveragePooling2D", "Flatten", "Reshape"),
    *("Dropout", "Activation", "Softmax"),
)
LEAST_BITS, MOST_BITS = 2, 8
"""Widths of a weight."""
THRESHOLD = 3.0
"""Multiple of the standard deviation where the file has none."""


def read_activation(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a QuantizedReLU from its configuration."""
    bits = bit_width(config)
    highest = 2**bits - 1
    limit = scalar(config.get("max_value")) if kind == RELU else min(highest, 6.0)
    return {"bits": bits, "max_value": float(highest) if limit is None else limit}


def write_activation(bits: int, max_value: float) -> dict[str, Any]:
    """Return the configuration of a QuantizedReLU."""
    return {"bitwidth": bits, "max_value": max_value}


def read_quantizer(entry: Mapping[str, Any]) -> WeightQuantizer:
    """Return the quantizer of a kernel from its description.

    Raises
    ------
    ModelError
        If it is not known here.
    """
    name = str(entry["class_name"]).rsplit(">", 1)[-1]
    if name not in RANGES:
        raise ModelError(f"weight quantizer {name} is not known; known: {', '.join(RANGES)}")
    config = entry["config"]
    bits = bit_width(config)
    if not LEAST_BITS <= bits <= MOST_BITS:
        raise ModelError(f"its weights have {bits} bits; allowed: {LEAST_BITS} to {MOST_BITS}")
    threshold = float(config.get("threshold", THRESHOLD))
    return WeightQuantizer(bits=bits, range=RANGES[name], threshold=threshold)


def write_quantizer(quantizer: WeightQuantizer, name: str) -> dict[str, Any]:
    """Return the description of the quantizer `name`; the opposite of `read_quantizer`."""
    kind = WRITTEN[quantizer.range]
    config = {"name": name, "trainable": True, "dtype": "float32", "bitwidth": quantizer.bits}
    return {"module": MODULE, "class_name": kind, "config": config, "registered_name": kind}


def read_kernel_quantizers(
    kind: str, config: Mapping[str, Any]
) -> tuple[str, dict[str, WeightQuantizer]]:
    """Return the operation of a layer with kernels, and the quantizer of each kernel."""
    op, keys = KERNELS[kind]
    return op, {weight: read_quantizer(config[key]) for weight, key in keys.items()}
