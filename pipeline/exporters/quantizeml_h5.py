"""Write models quantized by the scheme of Akida 2.0 as QuantizeML's ``.h5``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.exporters.keras2_file import write_keras2
from pipeline.exporters.layers import Layer
from pipeline.formats.quantizeml.layers import DEQUANTIZER, INPUT_QUANTIZER, LAYERS, REGISTERED
from pipeline.formats.quantizeml.quantizers import (
    COMPUTING,
    OUTPUT,
    RANGES,
    write_input_quantizer,
    write_quantization,
)
from pipeline.formats.remarks import Remarks
from pipeline.graph.node import Node
from pipeline.graph.operations import OPERATIONS
from pipeline.quantization.calibrated_graph import CalibratedGraph

LAYER = {"trainable": True, "dtype": "float32"}
"""Configuration that all layers but the input share."""


def save_quantizeml_h5(path: str | Path, calibrated: CalibratedGraph) -> None:
    """Write a calibrated graph as a file that ``quantizeml.load_model`` reads, atomically.

    Equal graphs give equal bytes. Names must be those that Keras 2 accepts.
    """
    layers = list(_layers(calibrated))
    entry = calibrated.input
    clips = entry is not None and entry.clip_at_zero
    remarks = Remarks(notes=calibrated.notes, clip_at_zero=clips)
    write_keras2(path, calibrated.graph.name, layers, [layers[-1].name], remarks)


def _layers(calibrated: CalibratedGraph) -> Iterator[Layer]:
    """Yield the layers, the quantizer of the inputs and the last layer's Dequantizer included."""
    graph = calibrated.graph
    entry = graph.input
    yield _layer(graph, entry, "InputLayer", OPERATIONS["Input"].write_keras(entry.attrs, 2)[1])
    feeds = {}
    if calibrated.input is not None:
        feeds[entry.name] = graph.part_name(entry.name, "quantizer")
        config, variables = write_input_quantizer(calibrated.input)
        yield _added(graph, feeds[entry.name], INPUT_QUANTIZER, entry.name, config, variables)
    for node in graph.nodes[1:]:
        yield _quantized(calibrated, node, [feeds.get(name, name) for name in node.inputs])
    name = graph.part_name(graph.output, "dequantizer")
    yield _added(graph, name, DEQUANTIZER, feeds.get(graph.output, graph.output), {}, {})


def _quantized(calibrated, node: Node, inputs) -> Layer:
    form, settings = LAYERS[node.op], calibrated.nodes.get(node.name)
    config = form.write(node.attrs)
    if node.op == "Reshape":
        # QuantizeML does not know the size that a -1 stands for, which the next layer needs.
        config["target_shape"] = list(calibrated.graph.shapes[node.name])
    variables = node.operation.write_weights(node.attrs, node.weights)
    if node.op in COMPUTING:
        config["quant_config"] = write_quantization(node.op, settings)
        if settings.padding_value is not None:
            config["padding_value"] = settings.padding_value.tolist()
        if settings.output is not None:
            ranges = np.asarray(settings.output.range_max, np.float32)
            # The layer builds both variables with one shape.
            rates = np.full(ranges.shape, settings.output.rescaling_rate, np.float32)
            variables |= {f"{OUTPUT}/{RANGES[0]}": ranges, f"{OUTPUT}/{RANGES[1]}": rates}
    config = {**LAYER, **config}
    return _layer(calibrated.graph, node, REGISTERED + form.class_name, config, inputs, variables)


def _layer(graph, node, class_name, config, inputs=(), variables=None) -> Layer:
    return Layer(
        name=node.name,
        class_name=class_name,
        config={"name": node.name, **config},
        inputs=tuple(inputs),
        variables=variables or {},
        shape=graph.shapes[node.name],
        dtype=node.attrs["dtype"] if node.op == "Input" else "float32",
    )


def _added(graph, name, kind, source, config, variables) -> Layer:
    return Layer(
        name=name,
        class_name=REGISTERED + kind,
        config={"name": name, **LAYER, **config},
        inputs=(source,),
        variables={key: np.asarray(value, np.float32) for key, value in variables.items()},
        shape=(),
        dtype="float32",
    )
