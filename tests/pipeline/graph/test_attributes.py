import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.graph.attributes import RULES, SPECIAL, refusal
from pipeline.graph.build import make_node
from pipeline.graph.operations import OPERATIONS, REQUIRED

EXAMPLES = {
    **{"filters": 4, "units": 4, "kernel_size": 3, "fifo_size": 2, "size": 2},
    **{"activation": "relu", "shape": (2, 2, 1), "target_shape": (-1,), "dims": (2, 1)},
    **{"scale": 0.5, "bits": 4},
}


def node(op, **attrs):
    required = {key: EXAMPLES[key] for key, v in OPERATIONS[op].attrs.items() if v is REQUIRED}
    inputs = [f"i{number}" for number in range({-1: 2}.get(OPERATIONS[op].arity, 1))]
    return make_node("n", op, inputs if op != "Input" else (), {**required, **attrs})


@pytest.mark.parametrize("op", OPERATIONS)
def test_defaults_are_allowed(op):
    node(op)


def test_every_attribute_has_a_rule():
    keys = {(op, key) for op, table in OPERATIONS.items() for key in table.attrs}
    # What preparation adds is made by our own code.
    assert {key for op, key in keys if (op, key) not in SPECIAL and key not in RULES} == {
        "padding_value"
    }


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
    assert refusal("ReLU", "max_value", np.float32(6)) is None


def test_long_values_are_cut():
    assert len(refusal("Conv2D", "padding", "x" * 5000)) < 130
