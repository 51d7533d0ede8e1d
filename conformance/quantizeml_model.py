"""Convert a float graph to tf_keras, quantize it with QuantizeML and read its registers."""

from __future__ import annotations

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.preparation import prepare
from pipeline.quantization.assignment import assign

_ORDER = {
    "PReLU": ("alpha",),
    "BatchNormalization": ("gamma", "beta", "moving_mean", "moving_variance"),
    "SeparableConv2D": ("depthwise_kernel", "pointwise_kernel", "bias"),
}


def to_tf_keras(graph: Graph):
    """Return the tf_keras model of a float graph, with the same layer names and weights."""
    import tf_keras as keras
    from quantizeml import layers as quantizeml_layers

    tensors, model_input = {}, None
    for node in _with_floats(graph).nodes:
        if node.op == "Input":
            shape, dtype = node.attrs["shape"], node.attrs["dtype"]
            model_input = keras.layers.Input(shape, dtype=dtype, name=node.name)
            tensors[node.name] = model_input
            continue
        module = quantizeml_layers if _is_own(node) else keras.layers
        layer = getattr(module, node.op)(name=node.name, **_options(node))
        inputs = [tensors[name] for name in node.inputs]
        tensors[node.name] = layer(inputs[0] if len(inputs) == 1 else inputs)
        order = _ORDER.get(node.op, ("kernel", "bias"))
        layer.set_weights([node.weights[key] for key in order if key in node.weights])
    return keras.Model(model_input, tensors[graph.output], name=graph.name)


def _with_floats(graph: Graph) -> Graph:
    """Return a graph whose integer inputs become floats in a Rescaling: Keras has no other sums."""

    def split(node):
        if node.op != "Input" or not node.attrs["dtype"].startswith(("int", "uint")):
            return None
        if all(consumer.op == "Rescaling" for consumer in graph.consumers(node)):
            return None
        name = graph.fresh_name("rescaling")
        return [node, make_node(name, "Rescaling", (node.name,), {"scale": 1.0})]

    return graph.rewrite(split)


def _is_own(node) -> bool:
    """Return True if the float layer is QuantizeML's, not Keras's."""
    if node.op == "Activation":
        return node.attrs["activation"] not in ("softmax", "sigmoid")
    if node.op == "Add":
        return node.attrs["average"]
    return node.op.endswith("BufferTempConv") or node.op == "DepthwiseConv2DTranspose"


def _options(node) -> dict:
    """Return the arguments of a node's layer."""
    attrs = {key: value for key, value in node.attrs.items() if key != "padding_value"}
    if node.op == "LeakyReLU":
        return {"alpha": attrs["negative_slope"]}
    if node.op in ("DepthwiseConv2D", "DepthwiseConv2DTranspose", "Rescaling"):
        return {key: list(v) if isinstance(v, tuple) else v for key, v in attrs.items()}
    if node.op.endswith("BufferTempConv"):
        attrs["kernel_size"] = attrs.pop("fifo_size")
    if node.op == "Activation" and attrs["activation"] != "leaky_relu":
        del attrs["alpha"]
    if node.op == "Add" and not attrs["average"]:
        del attrs["average"]
    return attrs


def quantize(graph: Graph, samples: np.ndarray, options):
    """Quantize `graph` with QuantizeML and the same options; return a tf_keras model.

    Widths of single layers become QuantizeML's configuration by layer.
    """
    import tf_keras

    tf_keras.utils.disable_interactive_logging()
    model = _quantize(graph, samples, options)
    if options.layers:
        from quantizeml.models import dump_config

        config = _with_widths(dump_config(model), graph, options)
        model = _quantize(graph, samples, options, q_config=config)
    return model if graph.input.attrs["dtype"] == "uint8" else _reload(model)


def _quantize(graph, samples, options, **config):
    from quantizeml.layers import QuantizationParams
    from quantizeml.models import quantize as quantizeml_quantize

    parameters = QuantizationParams(
        activation_bits=options.activation_bits,
        per_tensor_activations=options.per_tensor_activations,
        weight_bits=options.weight_bits,
        output_bits=options.output_bits,
        input_weight_bits=options.input_weight_bits,
        buffer_bits=options.buffer_bits,
        last_output_bits=options.last_output_bits,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return quantizeml_quantize(
            to_tf_keras(graph),
            qparams=parameters,
            samples=samples,
            num_samples=len(samples),
            batch_size=options.calibration.batch_size,
            epochs=options.calibration.epochs,
            **config,
        )


def _with_widths(config: dict, graph: Graph, options) -> dict:
    """Return QuantizeML's configuration by layer with the widths that crossgrade assigns."""
    prepared, _ = prepare(graph)
    for name, node in assign(prepared, options, graph).nodes.items():
        layer = config.get(name, {})
        for key in ("weight_quantizer", "dw_weight_quantizer", "pw_weight_quantizer"):
            if key in layer:
                layer[key]["bitwidth"] = node.weight_bits
        # Values of padding have the width of the weights.
        if "padding_value_quantizer" in layer:
            layer["padding_value_quantizer"]["bitwidth"] = node.weight_bits
        if node.output is not None:
            layer["output_quantizer"] |= {
                "bitwidth": node.output.bits,
                "signed": node.output.signed,
            }
    return config


def _reload(model):
    """Save and reload the model, since recording fails on padding values per channel otherwise."""
    from quantizeml import load_model

    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.h5"
        model.save(path, include_optimizer=False)
        return load_model(str(path))


def registers(model) -> dict[str, dict[str, np.ndarray]]:
    """Return the integer registers of a quantized tf_keras model, by layer and register name.

    Layers that QuantizeML adds are named by their types, ``InputQuantizer`` and ``Dequantizer``.
    """
    from quantizeml.models import record_quantization_variables

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        record_quantization_variables(model)
    found = {}
    for layer in model.layers:
        kind = type(layer).__name__
        name = kind if kind in ("InputQuantizer", "Dequantizer") else layer.name
        found[name] = dict(_registers(layer))
    return found


def _registers(layer):
    for name, key in (
        ("weight_quantizer", "kernel"),
        ("dw_weight_quantizer", "depthwise_kernel"),
        ("pw_weight_quantizer", "pointwise_kernel"),
    ):
        if hasattr(layer, name):
            yield key, _integers(getattr(layer, name).qweights.value.fp.values)
    for name, key in (("bias_quantizer", "bias"), ("max_value_quantizer", "max_value")):
        if hasattr(layer, name):
            quantizer = getattr(layer, name)
            shift = _integers(quantizer.shift.value)
            yield key, _integers(quantizer.qweights.value.fp.values) >> shift
            yield f"{key}_shift", shift
    if hasattr(layer, "padding_value_quantizer"):
        recorded = layer.padding_value_quantizer.qweights.value
        yield "padding_value", _integers(recorded.fp.values)
    for name in ("input_shift", "a_shift", "b_shift"):
        if getattr(layer, name, None) is not None and getattr(layer, name).value is not None:
            yield name, _integers(getattr(layer, name).value)
    quantizer = getattr(layer, "out_quantizer", None)
    if quantizer is not None:
        if getattr(quantizer, "qscales", None) is not None:
            yield "output_scales", _integers(quantizer.qscales.value.values)
        yield "output_shift", _integers(quantizer.shift.value)
    if hasattr(layer, "zero_points"):
        yield "scales", np.exp2(layer.frac_bits.value.numpy())
        yield "zero_points", _integers(layer.zero_points.value.fp.values)
    if hasattr(layer, "lut_bits"):
        keys, values = (np.asarray(array) for array in layer.values.export())
        yield "lut_values", _integers(values[np.argsort(keys)])
    if type(layer).__name__ == "Dequantizer":
        scales = 1 if layer.scales is None else layer.scales.value.numpy()
        yield "scales", np.float32(scales) * np.exp2(-layer.frac_bits.value.numpy())


def _integers(values):
    values = np.asarray(values)
    integers = values.astype(np.int64)
    np.testing.assert_array_equal(integers, values)
    return integers
