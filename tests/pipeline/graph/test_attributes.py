import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.graph.operations import OPERATIONS
from tests.pipeline.graph.examples import node


@pytest.mark.parametrize("op", OPERATIONS)
def test_defaults_are_allowed(op):
    node(op)


@pytest.mark.parametrize("value", [None, True, -1, 0, 2.5, "4", 1e308, 2**40, [], {}, (1, 2)])
@pytest.mark.parametrize(("op", "key"), [("Conv2D", "filters"), ("Conv2D", "groups")])
def test_counts(op, key, value):
    with pytest.raises(ModelError, match=f"n: {key} is .*; allowed: a whole number above 0"):
        node(op, **{key: value})


@pytest.mark.parametrize(
    ("op", "key", "value"),
    [
        ("Conv2D", "kernel_size", (3, 3, 3)),
        ("Conv2D", "strides", None),
        ("Conv2D", "strides", (0, 1)),
        ("Conv2D", "dilation_rate", (10**9, 1)),
        ("Conv2D", "padding", 7),
        ("Conv2D", "padding", "full"),
        ("Conv2D", "use_bias", "yes"),
        ("MaxPooling2D", "strides", (1.5, 1)),
        ("BatchNormalization", "scale", 1.0),
        ("BatchNormalization", "epsilon", float("nan")),
        ("Rescaling", "scale", (1.0, "x")),
        ("Rescaling", "scale", ()),
        ("Rescaling", "offset", float("inf")),
        ("ReLU", "max_value", -1.0),
        ("QuantizedReLU", "max_value", None),
        ("Dropout", "rate", 10**400),
        ("ZeroPadding2D", "padding", ((1, 0), (-1, 0))),
        ("Reshape", "target_shape", (-1, -1)),
        ("Reshape", "target_shape", "abc"),
        ("Permute", "dims", (2, 2)),
        ("PReLU", "shared_axes", ("x",)),
        ("Concatenate", "axis", 2.5),
        ("Activation", "activation", None),
        ("Input", "shape", ()),
        ("Input", "dtype", "object"),
    ],
)
def test_impossible_values_are_refused(op, key, value):
    with pytest.raises(ModelError, match=f"n: {key} is "):
        node(op, **{key: value})


def test_numbers_of_numpy_are_numbers():
    assert node("Conv2D", filters=np.int64(3), strides=np.int64(2)).attrs["strides"] == (2, 2)
    assert node("ReLU", max_value=np.float32(6)).attrs["max_value"] == 6


def test_long_values_are_cut():
    refusal = OPERATIONS["Conv2D"].attributes["padding"].refusal("padding", "x" * 5000)
    assert len(refusal) < 130
