"""Factors on outputs: what joins, reshapes and activations make of them, and how kernels take them
back."""

import numpy as np
import pytest

from pipeline.graph.forward import forward
from pipeline.quantization.factors import divide_kernels, output_factors
from pipeline.quantization.refine.joins import scale_joins
from tests.pipeline.quantization.graphs import chain, conv
from tests.pipeline.quantization.refine.test_joins import NETS, calibrated

RELU, DENSE = ("ReLU", {}), ("Dense", {"units": 5})
PAIR = np.float32([1.25, 0.75])


def rates_of(model):
    return {
        name: node.output.rescaling_rate
        for name, node in model.nodes.items()
        if node.output is not None
    }


@pytest.mark.parametrize("per_tensor", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_the_float_model_is_found_again(name, per_tensor):
    graph, model = calibrated(name, per_tensor=per_tensor)
    model, _ = scale_joins(model)
    rates = rates_of(model)
    factors, refusals = output_factors(model.graph, rates)
    assert refusals == []
    images = np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 3)).astype(np.float32)
    wanted = forward(graph, images)
    found = forward(divide_kernels(model.graph, factors, undo=True), images)
    # Each kernel is divided twice in float32.
    np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())
    if any((np.asarray(rate) != 1).any() for rate in rates.values()):
        assert np.abs(forward(model.graph, images) - wanted).max() > 1e-3 * np.abs(wanted).max()


@pytest.mark.parametrize(
    ("between", "reached"),
    [
        ([("MaxPooling2D", {})], PAIR),
        ([("Dropout", {}), ("GlobalAveragePooling2D", {})], PAIR),
        ([("ZeroPadding2D", {}), RELU], PAIR),
        ([("Flatten", {})], np.tile(PAIR, 64)),
        ([("Reshape", {"target_shape": (4, 16, 2)})], PAIR),
        ([("Reshape", {"target_shape": (8, 16, 1)})], None),
        ([("Permute", {"dims": (3, 1, 2)})], None),
        ([("ReLU", {"max_value": 6.0})], None),
        ([("Activation", {"activation": "swish"})], None),
        ([("Add", {}, ("relu_2", "conv2d_1"))], None),
        ([("Add", {}, ("relu_2", "relu_2"))], PAIR),
        ([("Concatenate", {}, ("conv2d_1", "relu_2"))], np.float32([1, 1, *PAIR])),
    ],
)
def test_what_passes_a_factor_on(between, reached):
    graph = chain(conv(2), RELU, *between, DENSE, shape=(8, 8, 3))
    factors, refusals = output_factors(graph, {"relu_2": PAIR})
    before = graph.nodes[-1].inputs[0]
    if reached is None:
        assert [refusal.layers for refusal in refusals] == [("relu_2",)]
        np.testing.assert_array_equal(factors[before], 1)
    else:
        assert refusals == []
        np.testing.assert_array_equal(factors[before], reached)


def test_a_factor_and_its_inverse_are_none():
    graph = chain(conv(2), RELU, RELU, shape=(8, 8, 3))
    factor = np.float32([1.1, 0.7])
    assert output_factors(graph, {"relu_2": factor, "relu_3": 1 / factor})[1] == []
    _, refusals = output_factors(graph, {"relu_2": factor, "relu_3": factor})
    assert [refusal.layers for refusal in refusals] == [("relu_2", "relu_3")]
