"""Convert a QuantizeML-quantized Keras model file to a `CalibratedGraph`.

The file holds float variables and the configuration of each quantizer; the integers are
recomputed from them later.
"""

from __future__ import annotations

import numpy as np

from pipeline.errors import IncompatibleModelError, LayerError, ModelError
from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.keras_values import scalar
from pipeline.graph.node import Node
from pipeline.graph.operations import OPERATIONS
from pipeline.graph.traits import NEURAL
from pipeline.importers.bit_widths import bit_width
from pipeline.importers.float_tail import TailLayer, tail_layer, tail_notes
from pipeline.importers.hdf5 import DamagedFileError
from pipeline.importers.keras_model import KerasLayer, KerasModel, refusal
from pipeline.importers.weights import check_weights
from pipeline.quantization.calibrated_graph import (
    CalibratedGraph,
    InputQuantizer,
    NodeQuantization,
    OutputQuantizer,
)
from simulator.malformed import MALFORMED

PREFIX = "Quantized"
CONVOLUTIONS = (
    "Conv2D",
    "DepthwiseConv2D",
    "Conv2DTranspose",
    "DepthwiseConv2DTranspose",
    "Dense",
)
COMPUTING = (*NEURAL, "ReLU", "Activation", "GlobalAveragePooling2D", "Add")
# The kernel axis over which a scale is always shared, as named in the file.
KERNEL_AXIS = {"DepthwiseConv2D": -2, "DepthwiseConv2DTranspose": None}


def is_quantizeml(model: KerasModel) -> bool:
    """Return True if layers of the model were quantized by QuantizeML."""
    return any(
        layer.class_name in ("InputQuantizer", "Dequantizer")
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
        notes=tuple(tail_notes(reader.tail)),
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
        elif kind == "InputQuantizer":
            self._input_quantizer(layer)
        elif kind == "Dequantizer":
            self.feeds[layer.name] = self.feeds[layer.inputs[0]]
            self.floats.add(layer.name)
        elif self.floats.intersection(layer.inputs):
            self._float_tail(layer)
        elif not kind.startswith(PREFIX) or kind.removeprefix(PREFIX) not in _KINDS:
            raise LayerError(
                layer.name,
                f"{kind} is not a quantized layer that can be read; known: "
                f"{', '.join(PREFIX + name for name in sorted(_KINDS))}",
            )
        else:
            self._quantized(layer, _KINDS[kind.removeprefix(PREFIX)])

    def _input_quantizer(self, layer):
        config, weights = layer.config, self.model.weights(layer)
        if self.nodes[0].name not in (self.feeds[name] for name in layer.inputs):
            raise LayerError(layer.name, "an InputQuantizer must follow the model's input")
        self.feeds[layer.name] = self.feeds[layer.inputs[0]]
        self.input = InputQuantizer(
            bits=bit_width(config, default=8),
            signed=bool(config.get("signed", True)),
            per_tensor=_per_tensor(config.get("axis", "per-tensor")),
            range_min=weights["range_min"],
            range_max=weights["range_max"],
            clip_at_zero=False,
        )

    def _float_tail(self, layer):
        """Leave a float layer after the last quantized one to the host, or refuse it."""
        self.feeds[layer.name] = self.feeds[layer.inputs[0]]
        self.floats.add(layer.name)
        self.tail.append(tail_layer(layer))

    def _quantized(self, layer, op):
        config = layer.config
        settings = config.get("quant_config") or {}
        weights = OPERATIONS[op].read_weights(self.model.weights(layer))
        ranges = {key: weights.pop(key, None) for key in ("range_max", "rescaling_rate")}
        attrs, padding_value = _attrs(op, config)
        inputs = [self.feeds[name] for name in layer.inputs]
        self.nodes.append(make_node(layer.name, op, inputs, attrs, weights))
        if op not in COMPUTING:
            return
        self.quantization[layer.name] = NodeQuantization(
            weight_bits=_weight_bits(op, settings) if op in NEURAL else None,
            buffer_bits=_buffer_bits(op, settings),
            output=_output_quantizer(settings.get("output_quantizer"), ranges),
            lut_bits=_lut_bits(settings) if op == "Activation" else None,
            padding_value=padding_value,
        )


_KINDS = {
    **{
        name: name
        for name in (
            *NEURAL,
            *("ReLU", "Activation", "GlobalAveragePooling2D", "Flatten", "Reshape", "Permute"),
            *("Dropout", "Add", "Concatenate", "Rescaling"),
        )
    },
    "MaxPool2D": "MaxPooling2D",
}


def _attrs(op, config):
    """Return (attributes, padding value) of a quantized layer."""
    if config.get("activation") not in (None, "linear") and op in NEURAL:
        raise ModelError(f"its activation is {config['activation']!r}; allowed: none")
    if op == "Activation":
        kind = str(config["activation"])
        kind = {"silu": "swish"}.get(kind, kind)
        if kind not in ("gelu", "swish", "hard_silu", "leaky_relu"):
            raise ModelError(f"activation '{kind}' has no look-up table; use gelu, swish...")
        alpha = scalar(config.get("alpha", 0.2)) if kind == "leaky_relu" else 0.0
        return {"activation": kind, "alpha": alpha}, None
    if op == "ReLU":
        limit = config.get("max_value", 6.0)
        return {"max_value": scalar(limit)}, None
    attrs = OPERATIONS[op].read_keras(op, config)
    if op.endswith("BufferTempConv"):
        attrs.setdefault("use_bias", False)
    padding_value = config.get("padding_value")
    if padding_value is None:
        return attrs, None
    # Keras reads "valid" here, since the layer pads by itself.
    values = np.atleast_1d(np.asarray(padding_value, np.float32))
    return {**attrs, "padding": "same"}, values


def _weight_bits(op, settings):
    """Return the kernel's bit width; refuse unknown quantizer settings."""
    names = ["weight_quantizer"]
    if op == "SeparableConv2D":
        names = ["dw_weight_quantizer", "pw_weight_quantizer"]
    widths = []
    for name in names:
        quantizer = settings.get(name) or {}
        _require(quantizer, name, "signed", True)
        _require(quantizer, name, "fp_quantizer", False)
        axis = None if name.startswith("dw_") else KERNEL_AXIS.get(op, -1)
        _require(quantizer, name, "axis", axis)
        widths.append(bit_width(quantizer))
    if len(set(widths)) > 1:
        raise ModelError(f"its two kernels have {widths} bits; both need the same width")
    _require(settings.get("bias_quantizer") or {}, "bias_quantizer", "bitwidth", 8)
    return widths[-1]


def _lut_bits(settings):
    bits = bit_width(settings, "lut_bitwidth", 14)
    if not 2 <= bits <= 16:
        raise ModelError(f"lut_bitwidth is {bits}; allowed: 2 to 16, the values are int16")
    return bits


def _buffer_bits(op, settings):
    if op == "ReLU":
        limit = settings.get("max_value_quantizer") or {}
        _require(limit, "max_value_quantizer", "bitwidth", 8)
    bits = bit_width(settings, "buffer_bitwidth", 32)
    return min(28, bits) if op in CONVOLUTIONS else bits


def _require(settings, where, key, wanted):
    found = settings.get(key, wanted)
    if found != wanted:
        raise ModelError(f"{where}.{key} is {found}; only {wanted} is supported here")


def _output_quantizer(settings, ranges):
    if not settings:
        return None
    if ranges["range_max"] is None:
        raise ModelError("its output quantizer has no range in the file; calibrate the model")
    rate = ranges["rescaling_rate"]
    return OutputQuantizer(
        bits=bit_width(settings, default=8),
        signed=bool(settings.get("signed", True)),
        per_tensor=_per_tensor(settings.get("axis", "per-tensor")),
        range_max=ranges["range_max"],
        rescaling_rate=np.float32(1) if rate is None else rate,
        scale_bits=bit_width(settings, "scale_bits", 8),
        buffer_bits=bit_width(settings, "buffer_bitwidth", 32),
    )


def _per_tensor(axis):
    if axis not in ("per-tensor", "per-axis"):
        raise ModelError(f"its quantizer's axis is {axis!r}; allowed: per-tensor, per-axis")
    return axis == "per-tensor"
