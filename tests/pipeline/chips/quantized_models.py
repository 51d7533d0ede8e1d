"""Small models of both quantization schemes, for the tests of this folder."""

import numpy as np

from pipeline.config.sections import Calibration, Quantization
from pipeline.quantization.quantize import quantize
from tests.pipeline.quantization.graphs import RELU, chain, conv

GAP = ("GlobalAveragePooling2D", {})
BATCHNORM = ("BatchNormalization", {})
FLATTEN = ("Flatten", {})
MAXPOOL = ("MaxPooling2D", {"padding": "same"})
SCALED = ("Rescaling", {"scale": 1 / 127.5, "offset": -1.0})
UNIT = ("Rescaling", {"scale": 1 / 255})


def dense(units=3, **attrs):
    return ("Dense", {"units": units, **attrs})


def separable(filters=4, kernel=3, **attrs):
    size = {"filters": filters, "kernel_size": kernel, "padding": "same"}
    return ("SeparableConv2D", {**size, **attrs})


def options(scheme, **changes):
    """Return 8/4/4, per tensor, calibrated quickly."""
    settings = {"weight_bits": 4, "activation_bits": 4, "per_tensor_activations": True}
    calibration = Calibration(samples=16, batch_size=8)
    return Quantization(scheme=scheme, calibration=calibration, **(settings | changes))


def images(count=16, shape=(6, 6, 3), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def quantized(layers, scheme, *, shape=(6, 6, 3), seed=0, dtype="uint8", **changes):
    """Return a chain of layers as an integer model."""
    graph = chain(*layers, shape=shape, seed=seed, dtype=dtype)
    return quantize(graph, images(shape=shape).astype(dtype), options(scheme, **changes))


__all__ = ["RELU", "chain", "conv"]
