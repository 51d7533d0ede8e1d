"""Convert a QuantizeML-quantized Keras model file to a `CalibratedGraph`.

The file holds float variables and the configuration of each quantizer; the integers are
recomputed from them later.
"""

from __future__ import annotations

import numpy as np

from pipeline.errors import IncompatibleModelError, LayerError
from pipeline.formats.quantizeml.layers import DEQUANTIZER, INPUT_QUANTIZER, LAYERS, OPS, PREFIX
from pipeline.formats.quantizeml.quantizers import (
    COMPUTING,
    RANGES,
    read_input_quantizer,
    read_quantization,
)
from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.graph.operations import OPERATIONS
from pipeline.importers.float_tail import TailLayer, tail_layer, tail_notes
from pipeline.importers.hdf5 import DamagedFileError
from pipeline.importers.keras_model import KerasLayer, KerasModel, refusal
from pipeline.importers.weights import check_weights
from pipeline.quantization.calibrated_graph import (
    CalibratedGraph,
    InputQuantizer,
    NodeQuantization,
)
from simulator.malformed import MALFORMED


def is_quantizeml(model: KerasModel) -> bool:
    """Return True if layers of the model were quantized by QuantizeML."""
    return any(
        layer.class_name in (INPUT_QUANTIZER, DEQUANTIZER)
        or (layer.class_name.startswith(PREFIX) and "quant_config" in layer.config)
        for layer in model.layers
    )


def calibrated_graph(model: KerasModel) -> CalibratedGraph:
    """Return the quantized part of a model, with its calibrated ranges.

    Raises
    ------
    IncompatibleModelError
        Listing every layer or setting that cannot be represented.
    """
    reader = _Reader(model)
    for layer in model.layers:
        try:
            reader.add(layer)
        except DamagedFileError:
            raise
        except MALFORMED as error:
            reader.refusals.append(refusal(layer, error))
    if reader.refusals:
        raise IncompatibleModelError(model.label, reader.refusals, "read the quantized model")
    graph = Graph(model.name, tuple(reader.nodes), reader.feeds[model.output])
    check_weights(graph, model.label)
    return CalibratedGraph(
        graph=graph,
        nodes=reader.quantization,
        input=reader.input,
        flatten_saturates=True,
        notes=(*model.remarks.notes, *tail_notes(reader.tail)),
        float_tail=tuple(reader.tail),
    )


class _Reader:
    """Collects nodes and quantizers layer by layer."""

    def __init__(self, model):
        self.model = model
        self.nodes: list[Node] = []
        self.quantization: dict[str, NodeQuantization] = {}
        self.input: InputQuantizer | None = None
        self.refusals: list[str] = []
        # Layers that become no node are known by their producer's name.
        self.feeds: dict[str, str] = {}
        self.floats: set[str] = set()
        self.tail: list[TailLayer] = []

    def add(self, layer: KerasLayer) -> None:
        """Add one layer."""
        kind = layer.class_name
        self.feeds[layer.name] = layer.name
        if kind == "InputLayer":
            attrs = OPERATIONS["Input"].read_keras(kind, layer.config)
            self.nodes.append(make_node(layer.name, "Input", (), attrs))
        elif kind == INPUT_QUANTIZER:
            self._input_quantizer(layer)
        elif kind == DEQUANTIZER:
            self.feeds[layer.name] = self.feeds[layer.inputs[0]]
            self.floats.add(layer.name)
        elif self.floats.intersection(layer.inputs):
            self._float_tail(layer)
        elif kind not in OPS:
            raise LayerError(
                layer.name,
                f"{kind} is not a quantized layer that can be read; known: "
                f"{', '.join(sorted(OPS))}",
            )
        else:
            self._quantized(layer, OPS[kind])

    def _input_quantizer(self, layer):
        if self.nodes[0].name not in (self.feeds[name] for name in layer.inputs):
            raise LayerError(layer.name, "an InputQuantizer must follow the model's input")
        self.feeds[layer.name] = self.feeds[layer.inputs[0]]
        self.input = read_input_quantizer(
            layer.config, self.model.weights(layer), self.model.remarks.clip_at_zero
        )

    def _float_tail(self, layer):
        """Leave a float layer after the last quantized one to the host, or refuse it."""
        self.feeds[layer.name] = self.feeds[layer.inputs[0]]
        self.floats.add(layer.name)
        self.tail.append(tail_layer(layer))

    def _quantized(self, layer, op):
        attrs, padding_value = LAYERS[op].read(layer.config), _padding_value(layer.config)
        if padding_value is not None:
            # Keras reads "valid" here, since the layer pads by itself.
            attrs["padding"] = "same"
        weights = OPERATIONS[op].read_weights(self.model.weights(layer))
        ranges = {key: weights.pop(key, None) for key in RANGES}
        inputs = [self.feeds[name] for name in layer.inputs]
        self.nodes.append(make_node(layer.name, op, inputs, attrs, weights))
        if op in COMPUTING:
            settings = layer.config.get("quant_config") or {}
            self.quantization[layer.name] = read_quantization(op, settings, ranges, padding_value)


def _padding_value(config) -> np.ndarray | None:
    value = config.get("padding_value")
    return None if value is None else np.atleast_1d(np.asarray(value, np.float32))
