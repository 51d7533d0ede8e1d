"""Every operation has the traits that it declares."""

import math

import numpy as np
import pytest

from pipeline.graph import traits
from pipeline.graph.forward import forward, run_node
from pipeline.graph.operations import OPERATIONS, having
from tests.pipeline.graph.chains import chain, normal
from tests.pipeline.graph.examples import node, required

SHAPE = (6, 5, 4)
ON_VECTORS = {"Part"}
"""Operations whose input is a vector."""


def shape_for(op):
    return (math.prod(SHAPE),) if op in ON_VECTORS else SHAPE


def example(op, **attrs):
    return chain(shape_for(op), (op, {**required(op), **attrs}))


UNARY = sorted(name for name, operation in OPERATIONS.items() if operation.arity == 1)


def test_operations_of_each_trait():
    convolutions = {"Conv2D", "DepthwiseConv2D", "SeparableConv2D"}
    transposed = {"Conv2DTranspose", "DepthwiseConv2DTranspose"}
    temporal = {"BufferTempConv", "DepthwiseBufferTempConv"}
    activations = {"ReLU", "QuantizedReLU", "LeakyReLU", "PReLU", "Activation"}
    assert set(traits.CONVOLUTIONS) == convolutions
    assert set(traits.TRANSPOSED) == transposed
    assert set(traits.TEMPORAL) == temporal
    assert set(traits.NEURAL) == convolutions | transposed | temporal | {"Dense"}
    assert set(traits.ACTIVATIONS) == activations
    assert set(traits.POINTWISE) == activations | {"BatchNormalization", "Rescaling", "Dropout"}
    assert set(traits.RESHAPES) == {"Flatten", "Reshape"}
    assert set(traits.KEEPS_VALUES) == {"Flatten", "Reshape", "Dropout"}
    moves = {"MaxPooling2D", "Permute", "Concatenate", "ZeroPadding2D", "UpSampling2D"}
    moves |= {"Cropping2D", "GlobalMaxPooling2D", "Part"}
    assert set(traits.MOVES_ONLY) == {*traits.KEEPS_VALUES, *moves}
    averages = {"AveragePooling2D", "GlobalAveragePooling2D"}
    assert set(traits.POOLINGS) == {"MaxPooling2D", "GlobalMaxPooling2D", *averages}
    assert set(traits.JOINS) == {"Add", "Concatenate"}
    depthwise = {"DepthwiseConv2D", "DepthwiseConv2DTranspose", "DepthwiseBufferTempConv"}
    assert set(traits.DEPTHWISE) == depthwise


def test_a_misspelt_trait_is_an_error():
    with pytest.raises(AttributeError):
        having("nueral")


@pytest.mark.parametrize("op", UNARY)
def test_values_are_kept_exactly_where_claimed(op):
    graph, x = example(op), normal(2, *shape_for(op))
    y = forward(graph, x)
    assert np.array_equal(y.ravel(), x.ravel()) == OPERATIONS[op].keeps_values
    assert not OPERATIONS[op].reshapes or OPERATIONS[op].keeps_values


@pytest.mark.parametrize("op", traits.MOVES_ONLY)
def test_values_are_copied_where_claimed(op):
    x, example_node = normal(2, *shape_for(op)), node(op)
    y = run_node(example_node, *[x] * len(example_node.inputs))
    assert np.isin(y, [*x.ravel(), 0]).all()


@pytest.mark.parametrize("op", UNARY)
def test_pointwise_outputs_depend_on_their_own_input_only(op):
    graph, x = example(op), normal(2, *shape_for(op))
    changed = x.copy()
    changed.flat[53] = 9  # Of a map, channel 1 in row 2 and column 3.
    y, other = forward(graph, x), forward(graph, changed)
    by_itself = y.shape == x.shape and not np.any((y != other) & (x == changed))
    assert by_itself == OPERATIONS[op].pointwise
    assert not OPERATIONS[op].activation or OPERATIONS[op].pointwise


@pytest.mark.parametrize("op", UNARY)
def test_operations_with_a_kernel_are_neural(op):
    weights = OPERATIONS[op].weights(example(op).nodes[-1].attrs, SHAPE)
    assert any(key.endswith("kernel") for key in weights) == OPERATIONS[op].neural


def frames(node, x):
    """Return the inputs of a node; for a temporal one, one image repeatedly."""
    return [x] * node.attrs.get("fifo_size", 1)


@pytest.mark.parametrize("op", traits.NEURAL)
def test_factors_on_channels_are_factors_on_kernels(op):
    # Powers of two, so that both sides are equal to the last bit.
    graph, x = example(op), normal(2, *SHAPE)
    operation = OPERATIONS[op]
    node = graph.nodes[-1].with_attrs(use_bias=False)
    y = run_node(node, *frames(node, x))
    factors = np.float32(2) ** np.arange(-2, 2, dtype=np.float32)
    for key, align, expected in (
        (operation.input_kernel, operation.per_input, run_node(node, *frames(node, x * factors))),
        (operation.output_kernel, operation.per_output, y * factors),
    ):
        kernel = node.weights[key]
        scaled = node.with_weights(**{key: kernel * align(kernel, factors)})
        np.testing.assert_array_equal(run_node(scaled, *frames(node, x)), expected)


@pytest.mark.parametrize("op", traits.NEURAL)
def test_depthwise_operations_do_not_mix_channels(op):
    graph, x = example(op), normal(1, *SHAPE)
    node = graph.nodes[-1]
    changed = x + np.float32([1, 0, 0, 0])
    before, after = (run_node(node, *frames(node, image)) for image in (x, changed))
    assert np.array_equal(before[..., 1:], after[..., 1:]) == OPERATIONS[op].depthwise
