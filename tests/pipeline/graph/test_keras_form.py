"""Operations read back the configuration that they write, for both generations of Keras."""

import json

import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.graph.build import make_node
from pipeline.graph.operations import OPERATIONS
from tests.pipeline.graph.examples import node

CHANGED = {
    **{"strides": (2, 1), "padding": "same", "dilation_rate": (1, 2), "use_bias": False},
    **{"groups": 2, "depth_multiplier": 3, "momentum": 0.5, "epsilon": 0.25, "center": False},
    **{"keepdims": True, "average": True, "rate": 0.25, "axis": 1, "shared_axes": (1, 2)},
    **{"max_value": 3.5, "negative_slope": 0.125, "threshold": 0.5, "offset": (1.0, 2.0)},
}
"""Non-default values of attributes, for operations that have them."""
READABLE = [op for op, operation in OPERATIONS.items() if operation.keras and operation.in_keras]


def changed(op):
    if op == "ZeroPadding2D":
        return {"padding": ((1, 2), (3, 0))}
    found = {key: value for key, value in CHANGED.items() if key in OPERATIONS[op].attributes}
    if op == "BatchNormalization":
        return {**found, "axis": -1, "scale": False}
    return found


@pytest.mark.parametrize("generation", [2, 3])
@pytest.mark.parametrize("op", READABLE)
def test_attributes_survive_a_keras_configuration(op, generation):
    for attrs in ({}, changed(op)):
        expected = node(op, **attrs)
        kind, config = expected.operation.write_keras(expected.attrs, generation)
        # A file holds lists for tuples.
        config = json.loads(json.dumps(config))
        read = OPERATIONS[op].read_keras(kind, config)
        assert make_node("n", op, expected.inputs, read).attrs == expected.attrs
        assert set(config) - {"sparse", "ragged"} <= OPERATIONS[op].read_keys(kind)


@pytest.mark.parametrize("op", OPERATIONS)
def test_variables_are_written_in_the_order_in_which_they_are_read(op):
    for attrs in ({}, changed(op)):
        example, operation = node(op, **attrs), OPERATIONS[op]
        wanted = operation.weights(example.attrs, (6, 6, 4))
        # A node may have its weights in another order.
        weights = {key: np.zeros(wanted[key]) for key in reversed(wanted)}
        written = operation.write_weights(example.attrs, weights)
        assert tuple(written) == operation.stored_variables(example.attrs)
        assert set(operation.read_weights(written)) == set(wanted)


def test_order_and_names_are_those_of_keras():
    names = {op: OPERATIONS[op].stored_variables({}) for op in OPERATIONS}
    assert names["SeparableConv2D"] == ("depthwise_kernel", "pointwise_kernel", "bias")
    assert names["DepthwiseConv2D"] == ("depthwise_kernel", "bias")
    assert names["BatchNormalization"] == ("gamma", "beta", "moving_mean", "moving_variance")
    assert names["Conv2D"] == names["Dense"] == names["BufferTempConv"] == ("kernel", "bias")
    assert OPERATIONS["BatchNormalization"].stored_variables({"scale": False, "center": 0}) == (
        "moving_mean",
        "moving_variance",
    )
    assert names["ReLU"] == ()


def test_what_cannot_be_represented_is_refused():
    for op in ("Conv2D", "MaxPooling2D", "Flatten"):
        with pytest.raises(ModelError, match="data_format is 'channels_first'; allowed: channels_"):
            OPERATIONS[op].read_keras(op, {"data_format": "channels_first"})
    with pytest.raises(ModelError, match="depth_multiplier is 2; allowed: 1"):
        op = "DepthwiseConv2DTranspose"
        OPERATIONS[op].read_keras(op, {"depth_multiplier": 2})


def test_several_classes_are_one_operation():
    assert OPERATIONS["Add"].read_keras("Average", {}) == {"average": True}
    assert OPERATIONS["Dropout"].read_keras("SpatialDropout2D", {"rate": 0.5}) == {"rate": 0.5}
