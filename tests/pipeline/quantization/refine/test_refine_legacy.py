"""Models of the scheme cnn2snn, refined."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.chips import convert
from pipeline.config import Quantization
from pipeline.graph.forward import forward
from pipeline.quantization.legacy_graph import LARGEST_FACTOR, WeightQuantizer
from pipeline.quantization.quantize import quantize
from pipeline.quantization.refine.refinement import refine_legacy
from pipeline.quantization.schemes.cnn2snn import discrete, prepared
from simulator import simulate
from tests.pipeline.quantization.graphs import chain, conv
from tests.pipeline.quantization.refine.test_refine import equal, note, pictures

OPTIONS = Quantization(scheme="cnn2snn", weight_bits=4, activation_bits=4, refine="layers")
UNIT = ("Rescaling", {"scale": 1 / 255})
HALF = ("Rescaling", {"scale": 1 / 127.5, "offset": -1.0})
RELU6, RELU = ("ReLU", {"max_value": 6.0}), ("ReLU", {})
POOL, FLATTEN = ("MaxPooling2D", {"padding": "same"}), ("Flatten", {})
GAP, DENSE = ("GlobalAveragePooling2D", {}), ("Dense", {"units": 5})


def separable(filters):
    return ("SeparableConv2D", {"filters": filters, "kernel_size": 3, "padding": "same"})


NETS = {
    "separable": [UNIT, conv(6), RELU6, separable(8), RELU6, separable(8), GAP, RELU6, DENSE],
    "pooled": [HALF, conv(6), POOL, RELU, conv(8), RELU, FLATTEN, DENSE],
    "pixels": [conv(6), RELU, separable(8), POOL, RELU6, FLATTEN, DENSE],
    "end": [HALF, conv(6), RELU6, conv(5), GAP],
}


def noise(graph, program, images):
    wanted = forward(graph, images).reshape(len(images), -1)
    found = simulate(program, images).reshape(len(images), -1)
    return np.square(found - wanted).mean() / wanted.var(axis=0).mean()


@pytest.mark.parametrize("weights", [2, 4])
@pytest.mark.parametrize("name", NETS)
def test_refined_models_are_closer_and_fit_the_registers(name, weights):
    graph = chain(*NETS[name], shape=(8, 8, 3), seed=len(name))
    samples, tests = pictures(200), pictures(200, seed=1)
    options = replace(OPTIONS, weight_bits=weights)
    plain = quantize(graph, samples, replace(options, refine="none"))
    refined = quantize(graph, samples, options)
    assert note(refined).startswith("refined on 160 images")
    before, after = (convert(model, "akida_v1") for model in (plain, refined))
    assert noise(graph, after, tests) < 0.7 * noise(graph, before, tests)
    texts = {str(limit) for limit in before.limits()}
    assert {str(limit) for limit in after.limits()} <= texts


def test_without_images_the_scheme_is_the_vendors():
    graph = chain(*NETS["separable"], shape=(8, 8, 3))
    unrefined = quantize(graph, None, replace(OPTIONS, refine="none"))
    random = quantize(graph, None, OPTIONS)
    assert equal(unrefined, random) and "random samples" in note(random)
    few = quantize(graph, pictures(5), OPTIONS)
    assert equal(unrefined, few) and "at least 10" in note(few)


def test_the_rule_finds_refined_integers_again():
    """Refined kernels keep the factors of the vendor's rule, so that its tools can hold them."""
    graph, notes = prepared(chain(*NETS["separable"], shape=(8, 8, 3)))
    samples = pictures(120)
    refined = refine_legacy(
        graph, discrete(graph, OPTIONS, notes, graph), samples, OPTIONS, lambda done, total: None
    )
    assert note(refined).startswith("refined on 96 images")
    assert all(quantizer.given is None for quantizer in refined.quantizers.values())
    for (name, kernel), quantizer in refined.quantizers.items():
        integers = quantizer.integers(refined.graph.node(name).weights[kernel])
        axes = None if kernel == "depthwise_kernel" else tuple(range(integers.ndim - 1))
        assert (np.abs(integers).max(axis=axes) == 2 ** (quantizer.bits - 1) - 1).all()


def test_small_kernels_get_factors_that_the_rule_would_limit():
    kernel = np.float32([[3e-5, 1e-5], [-2e-5, 9e-1]])
    limited = WeightQuantizer(bits=4)
    assert (limited.factor(kernel) <= LARGEST_FACTOR).all()
    np.testing.assert_array_equal(limited.integers(kernel)[:, 0], [0, 0])
    own = limited.unlimited(kernel)
    np.testing.assert_array_equal(own.integers(kernel), [[7, 0], [-5, 7]])
    assert limited.unlimited(kernel[:, 1:]).given is None


def test_a_dead_filter_fits_the_registers():
    """A filter without weights has a threshold far above its potentials' range."""
    graph = chain(*NETS["pooled"], shape=(8, 8, 3))
    conv4 = graph.node("conv2d_5")
    kernel, bias = conv4.weights["kernel"].copy(), conv4.weights["bias"].copy()
    kernel[..., 2] *= 1e-7
    bias[2] = 1.5
    dead = conv4.with_weights(kernel=kernel, bias=bias)
    graph = graph.with_nodes(dead if node is conv4 else node for node in graph.nodes)
    refined = convert(quantize(graph, pictures(120), OPTIONS), "akida_v1")
    assert not [limit for limit in refined.limits() if "register" in str(limit)]
    layer = refined.by_name["conv2d_5"]
    assert np.abs(layer.threshold).max() < 1 << 19 and layer.act_step.max() < 1 << 16


def test_a_global_average_of_levels_is_not_refined():
    graph = chain(UNIT, conv(6), RELU6, GAP, DENSE, shape=(8, 8, 3))
    assert "averages levels" in note(quantize(graph, pictures(60), OPTIONS))
