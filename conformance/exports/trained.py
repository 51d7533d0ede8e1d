"""Small networks whose registers have moved as far as a training in TensorFlow can move them."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np

from conformance.exports.case import Case, Make, in_range
from pipeline.config.sections import Calibration, Quantization
from pipeline.graph.architecture import build_graph
from pipeline.graph.graph import Graph
from pipeline.quantization.quantize import quantize
from pipeline.quantization.quantized_graph import QuantizedGraph
from pipeline.quiet_tensorflow import quiet_tensorflow

RELU = {"ReLU": {"max_value": 6.0}}
GAP = {"GlobalAveragePooling2D": {}}
DENSE = {"Dense": {"units": 5}}
HALF = {"Rescaling": {"scale": 1 / 127.5, "offset": -1.0}}


def _conv(filters=8, kernel=3, **options) -> dict:
    given = {"filters": filters, "kernel_size": kernel, "padding": "same", **options}
    return {"Conv2D": given}


DEPTHWISE = {"DepthwiseConv2D": {"kernel_size": 3, "padding": "same"}}
SEPARABLE = {"SeparableConv2D": {"filters": 6, "kernel_size": 3, "padding": "same"}}
UP = {"Conv2DTranspose": {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}}
DEPTHWISE_UP = {"DepthwiseConv2DTranspose": {"kernel_size": 3, "strides": 2, "padding": "same"}}
SKIP = [
    _conv(6),
    {"ReLU": {"max_value": 6.0, "name": "trunk"}},
    _conv(6),
    {"ReLU": {"max_value": 6.0, "name": "branch"}},
    {"Add": {"inputs": ["branch", "trunk"]}},
]
LAYERS = {
    "quantizeml": {
        "average": [HALF, _conv(), RELU, _conv(strides=2), RELU, GAP, DENSE],
        "depthwise": [_conv(), RELU, DEPTHWISE, RELU, _conv(6, 1), RELU, GAP, DENSE],
        "hidden": [_conv(), RELU, {"Flatten": {}}, {"Dense": {"units": 7}}, RELU, DENSE],
        "flat": [_conv(4), {"MaxPooling2D": {}}, RELU, {"Flatten": {}}, DENSE],
        "upward": [_conv(), RELU, UP, RELU, DEPTHWISE_UP, RELU, GAP, DENSE],
        "maps": [HALF, _conv(), {"ReLU": {}}, _conv(3, 1)],
        "skip": [*SKIP, {"ReLU": {}}, GAP, DENSE],
        "one": [HALF, _conv(), {"ReLU": {}}, GAP, {"Dense": {"units": 1}}],
        "table": [_conv(), {"Activation": {"activation": "swish"}}, GAP, DENSE],
    },
    "cnn2snn": {
        "average": [HALF, _conv(), RELU, _conv(strides=2), GAP, RELU, DENSE],
        "one": [_conv(), RELU, {"Flatten": {}}, {"Dense": {"units": 1}}],
        "separable": [_conv(6), {"MaxPooling2D": {}}, RELU, SEPARABLE, GAP, RELU, DENSE],
        "flat": [HALF, _conv(6), RELU, _conv(5, strides=2), RELU, {"Flatten": {}}, DENSE],
    },
}
WIDTHS = {
    "quantizeml": ((8, 8, 8), (8, 4, 4), (8, 2, 4), (4, 4, 4)),
    "cnn2snn": ((8, 4, 4), (8, 2, 4)),
}
"""Of the first layer's weights, the other weights, and activations, by scheme."""
INPUTS = {"quantizeml": ("uint8", "int8", "float32"), "cnn2snn": ("uint8",)}
SHAPE, COUNT, COMPARED = (8, 8, 3), 60, 16
STEPS = {True: 0.3, False: 0.7}
"""Standard deviation of a latent's move, where it is a scale's logarithm and elsewhere."""


def trained_models(scheme: str) -> dict[str, Make]:
    """Return how to quantize networks of a scheme and to move their registers, by name."""
    made = itertools.product(LAYERS[scheme], WIDTHS[scheme], INPUTS[scheme])
    return {
        f"{scheme} {name} {'/'.join(map(str, bits))} {dtype}": partial(
            trained_model, scheme, name, bits, dtype, number
        )
        for number, (name, bits, dtype) in enumerate(made)
    }


def trained_model(scheme: str, name: str, bits, dtype: str, seed: int) -> Case:
    """Return one network of `LAYERS`, whose registers have all moved away from their start."""
    graph, images = _graph(LAYERS[scheme][name], dtype), _images(dtype)
    options = Quantization(
        scheme=scheme,
        input_weight_bits=bits[0],
        weight_bits=bits[1],
        activation_bits=bits[2],
        per_tensor_activations=scheme == "quantizeml" and seed % 2 == 1,
        calibration=Calibration(batch_size=20),
    )
    found = moved(quantize(graph, images, options), seed)
    return Case(found, in_range(found, images[:COMPARED]))


def moved(quantized: QuantizedGraph, seed: int) -> QuantizedGraph:
    """Return a model whose registers moved at random, within what training keeps them in."""
    with quiet_tensorflow():
        import tensorflow  # noqa: F401
    from pipeline.training.registers.cnn2snn import Cnn2snnModel
    from pipeline.training.registers.latents import Factor, OutputScale
    from pipeline.training.registers.quantizeml import QuantizemlModel

    models = {"quantizeml": QuantizemlModel, "cnn2snn": Cnn2snnModel}
    model, rng = models[quantized.scheme](quantized), np.random.default_rng(seed)
    for latent in model.latents.values():
        step = STEPS[isinstance(latent, Factor | OutputScale)]
        latent.variable.assign_add(step * rng.normal(size=latent.variable.shape))
        latent.settle()
        latent.finish()
    return model.exported()


def _graph(layers, dtype) -> Graph:
    given = {"shape": list(SHAPE), "dtype": dtype}
    return build_graph({"name": "net", "input": given, "layers": layers}, seed=1)


def _images(dtype) -> np.ndarray:
    pixels = np.random.default_rng(2).integers(0, 256, (COUNT, *SHAPE))
    return (pixels / 255).astype(dtype) if dtype == "float32" else pixels.astype(dtype)
