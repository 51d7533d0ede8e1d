"""The integers that refining computes with are those of the chip's emulator."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.chips import convert
from pipeline.config import Calibration, Quantization
from pipeline.quantization.quantize import quantize
from pipeline.quantization.refine.integer_forward import run_nodes
from simulator import simulate
from tests.pipeline.quantization.graphs import RELU, chain, conv

OPTIONS = Quantization(calibration=Calibration(batch_size=10))
RNG = np.random.default_rng(0)
DEPTHWISE = ("DepthwiseConv2D", {"kernel_size": 3, "padding": "same"})
TRANSPOSED = {"kernel_size": 3, "strides": 2, "padding": "same"}
POOL = ("MaxPooling2D", {"pool_size": 2})
DENSE = ("Dense", {"units": 5})
GAP = ("GlobalAveragePooling2D", {})
SWISH = ("Activation", {"activation": "swish"})
HALF = ("Rescaling", {"scale": 1 / 127.5, "offset": -1.0})
NETS = {
    "flatten": [HALF, conv(4), RELU, ("Flatten", {}), DENSE],
    "pooled": [conv(4), POOL, RELU, DEPTHWISE, RELU, conv(3, 1), ("ReLU", {}), GAP, DENSE],
    "table": [conv(4), SWISH, conv(3), RELU, ("Flatten", {}), DENSE],
    "residual": [
        conv(4),
        RELU,
        conv(4),
        ("Add", {}, ("relu_2", "conv2d_3")),
        ("ReLU", {}),
        GAP,
        DENSE,
    ],
    "joined": [
        conv(4),
        RELU,
        ("Concatenate", {}, ("relu_2", "relu_2")),
        conv(5),
    ],
    "transposed": [
        conv(4),
        RELU,
        ("Conv2DTranspose", {"filters": 3, **TRANSPOSED}),
        RELU,
        ("DepthwiseConv2DTranspose", TRANSPOSED),
        RELU,
        conv(2, 1),
    ],
}


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("name", NETS)
def test_equal_to_the_emulator(name, bits, dtype):
    graph = chain(*NETS[name], shape=(8, 8, 3), dtype=dtype, seed=bits)
    images = RNG.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    images = images.astype(dtype) if dtype == "uint8" else images.astype(dtype) / 100 - 1
    options = replace(OPTIONS, weight_bits=bits, activation_bits=bits)
    if name == "joined":
        options = replace(options, per_tensor_activations=True)
    quantized = quantize(graph, images, options)
    image, *nodes = quantized.nodes
    found = run_nodes(nodes, {image.name: images})[quantized.output]
    expected = simulate(convert(quantized, "akida_v2"), images)
    np.testing.assert_array_equal(found.reshape(expected.shape), expected)
    assert np.ptp(expected) > 0


@pytest.mark.parametrize("bits", [4, 8])
def test_channels_that_saturate_before_a_flatten_do_so_here(bits):
    graph = chain(*NETS["flatten"], shape=(8, 8, 3), seed=bits)
    images = RNG.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    options = replace(OPTIONS, activation_bits=bits, flatten="saturate")
    quantized = quantize(graph, images, options)
    image, *nodes = quantized.nodes
    assert any("input_shift" in node.registers for node in nodes if node.op == "Flatten")
    found = run_nodes(nodes, {image.name: images})[quantized.output]
    expected = simulate(convert(quantized, "akida_v2"), images)
    np.testing.assert_array_equal(found.reshape(expected.shape), expected)
