"""Write models quantized by the scheme of Akida 1.0 as cnn2snn's legacy ``.h5``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.errors import IncompatibleModelError
from pipeline.exporters.keras2_file import write_keras2
from pipeline.exporters.layers import Layer
from pipeline.exporters.names import renamed_for_keras
from pipeline.formats.cnn2snn import CLASSES, KERNELS, RELU, write_activation, write_quantizer
from pipeline.formats.remarks import Remarks
from pipeline.graph.keras_io import keras_names
from pipeline.graph.node import Node
from pipeline.messages.notes import EXPORTED, Note
from pipeline.quantization.floats.legacy import restore_legacy
from pipeline.quantization.legacy_graph import LegacyGraph
from pipeline.quantization.quantized_graph import QuantizedGraph
from simulator.refusal import Refusal

LAYER = {"trainable": True, "dtype": "float32"}
GLOROT, ZEROS = "GlorotUniform", "Zeros"
NAMES = {"max": "max_quantizer", "max_per_axis": "max_per_axis_quantizer"}
"""Names of quantizers, which Keras numbers."""
WITHOUT = {
    "Conv2D": ("data_format", "groups"),
    "SeparableConv2D": ("data_format", "depth_multiplier"),
}
"""Options of Keras' layers that those of cnn2snn do not have."""


def export_cnn2snn(path: str | Path, quantized: QuantizedGraph) -> tuple[Note, ...]:
    """Write an integer model as a file that ``cnn2snn.convert`` takes, atomically.

    Parameters
    ----------
    path : str or Path
    quantized : QuantizedGraph
        Of the scheme cnn2snn.

    Returns
    -------
    tuple of Note
        On inputs of a type that the format does not hold.

    Raises
    ------
    IncompatibleModelError
        If the format cannot hold the integers; names the layers.
    """
    refusals = [
        Refusal(layers=(node.name,), found=f"{len(node.inputs)} inputs", allowed="one")
        for node in quantized.nodes
        if len(node.inputs) > 1
    ]
    if refusals:
        raise IncompatibleModelError(quantized.name, refusals, "write cnn2snn's .h5")
    legacy = _renamed(restore_legacy(quantized))
    layers = list(_layers(legacy))
    remarks = Remarks(notes=legacy.notes)
    write_keras2(path, legacy.graph.name, layers, [legacy.graph.output], remarks, sequential=True)
    return tuple(_retyped(quantized))


def _retyped(quantized: QuantizedGraph) -> Iterator[Note]:
    """Yield a note on inputs that are not uint8, as which every tool reads the format's."""
    entry = quantized.input
    if (dtype := entry.attrs["dtype"]) != "uint8":
        text = f"{entry.name}: {dtype} in the model, uint8 in the file, as Akida 1.0 takes it"
        yield Note(kind=EXPORTED, layers=(entry.name,), text=text)


def _renamed(legacy: LegacyGraph) -> LegacyGraph:
    names = keras_names(legacy.graph, 2)
    quantizers = {(names[name], key): value for (name, key), value in legacy.quantizers.items()}
    return replace(legacy, graph=renamed_for_keras(legacy.graph, 2), quantizers=quantizers)


def _layers(legacy: LegacyGraph) -> Iterator[Layer]:
    numbers: Counter[str] = Counter()
    for node in legacy.graph.nodes:
        kind, config = _described(node)
        if node.op in CLASSES:
            for weight, key in KERNELS[kind][1].items():
                quantizer = legacy.quantizers[node.name, weight]
                base, number = NAMES[quantizer.range], numbers[quantizer.range]
                numbers[quantizer.range] += 1
                config[key] = write_quantizer(quantizer, f"{base}_{number}" if number else base)
        yield Layer(
            name=node.name,
            class_name=kind,
            config=config,
            inputs=node.inputs,
            variables=node.operation.write_weights(node.attrs, node.weights),
            shape=legacy.graph.shapes[node.name],
            dtype="float32",
        )


def _described(node: Node) -> tuple[str, dict[str, Any]]:
    """Return class and configuration of a node's layer, without its quantizers."""
    own = {"name": node.name, **LAYER}
    if node.op == "QuantizedReLU":
        return RELU, {**own, **write_activation(node.attrs["bits"], node.attrs["max_value"])}
    kind, config = node.operation.write_keras(node.attrs, 2)
    if node.op == "Input":
        # As Keras feeds images to layers that compute in float32.
        return kind, {**config, "dtype": "float32", "name": node.name}
    if node.operation.data_format and node.op not in CLASSES:
        config["data_format"] = "channels_last"
    if node.op not in CLASSES:
        return kind, {**own, **config}
    for key in WITHOUT.get(node.op, ()):
        config.pop(key, None)
    if node.op == "SeparableConv2D":
        config["groups"] = 1
    return CLASSES[node.op], {**own, **config, **_training(node.op)}


def _training(op: str) -> dict[str, Any]:
    """Return the options that only training reads, with Keras' defaults."""
    parts = ["kernel"]
    if op == "SeparableConv2D":
        parts += ["depthwise", "pointwise"]
    config = {f"{part}_initializer": _initializer(GLOROT) for part in parts}
    config["bias_initializer"] = _initializer(ZEROS)
    for part in (*parts, "bias", "activity"):
        config[f"{part}_regularizer"] = None
        if part != "activity":
            config[f"{part}_constraint"] = None
    return config


def _initializer(kind: str) -> dict[str, Any]:
    config = {"seed": None} if kind == GLOROT else {}
    return {
        "module": "keras.initializers",
        "class_name": kind,
        "config": config,
        "registered_name": None,
    }
