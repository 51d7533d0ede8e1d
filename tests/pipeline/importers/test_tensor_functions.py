"""Arithmetic and other tensor functions between layers, for both generations of Keras."""

import numpy as np
import pytest

from pipeline.errors import IncompatibleModelError
from pipeline.graph.forward import forward
from pipeline.importers import load_model
from tests.pipeline.importers.keras_files import (
    conv,
    functional,
    image,
    kernel,
    layer,
    write_h5,
    write_keras,
)

SHAPE = (6, 6, 2)
IMAGES = np.random.default_rng(0).normal(size=(3, *SHAPE)).astype(np.float32)
EYE = {"kernel": np.eye(2, dtype=np.float32)[None, None], "bias": np.zeros(2, np.float32)}
X, CONSTANT = object(), "_CONSTANT_VALUE"
PER_CHANNEL = [0.5, -2.0]


def keras2(function, first, kwargs, source):
    """Return a call as Keras 2 stores it: the first argument, then the others by name."""
    given = {key: [source, 0, 0] if value is X else value for key, value in kwargs.items()}
    head = [source, 0, 0, given] if first is X else [CONSTANT, -1, first, given]
    entry = layer("TFOpLambda", "f", function=function)
    return {**entry, "inbound_nodes": [head]}


def keras3(function, args, config, source, module="keras.src.ops.numpy"):
    tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": [source, 0, 0]}}

    def stored(value):
        if isinstance(value, list) and X in value:
            return [tensor if item is X else item for item in value]
        return tensor if value is X else value

    return {
        "module": module,
        "class_name": function,
        "registered_name": function,
        "name": "f",
        "config": {"name": "f", **config},
        "inbound_nodes": [{"args": [stored(value) for value in args], "kwargs": {}}],
    }


def read(tmp_path, make, place):
    layers = [image(dtype="float32")]
    if place == "map":
        layers.append(conv("c", "image", filters=2, size=1))
    entry = make("image" if place == "image" else "c")
    config = functional([*layers, entry])
    if entry["class_name"] == "TFOpLambda":
        weights = {"c": EYE} if place == "map" else {}
        return load_model(write_h5(tmp_path / "m.h5", config, weights))
    weights = {"layers/conv2d": list(EYE.values())} if place == "map" else {}
    return load_model(write_keras(tmp_path / "m.keras", config, weights))


LINEAR = {
    "1 - x": ("subtract", "Subtract", 1.0, X, lambda x: 1 - x),
    "x - 1": ("subtract", "Subtract", X, 1.0, lambda x: x - 1),
    "x + 3": ("add", "Add", X, 3, lambda x: x + 3),
    "3 + x": ("add", "Add", 3, X, lambda x: x + 3),
    "x * 2": ("multiply", "Multiply", X, 2.0, lambda x: x * 2),
    "2 * x": ("multiply", "Multiply", 2.0, X, lambda x: x * 2),
    "x / 4": ("truediv", "TrueDivide", X, 4.0, lambda x: x / 4),
    "array * x": ("multiply", "Multiply", PER_CHANNEL, X, lambda x: x * np.float32(PER_CHANNEL)),
    "x - array": ("subtract", "Subtract", X, PER_CHANNEL, lambda x: x - np.float32(PER_CHANNEL)),
    "x + x": ("add", "Add", X, X, lambda x: x + x),
    "x - x": ("subtract", "Subtract", X, X, lambda x: x - x),
    "x * x": ("multiply", "Multiply", X, X, lambda x: x * x),
}


@pytest.mark.parametrize("place", ["image", "map"])
@pytest.mark.parametrize("generation", [2, 3])
@pytest.mark.parametrize("what", LINEAR)
def test_arithmetic(tmp_path, what, generation, place):
    old, new, left, right, expected = LINEAR[what]

    def make(source):
        if generation == 2:
            return keras2(f"math.{old}", left, {"y": right, "name": None}, source)
        return keras3(new, [left, right], {}, source)

    graph = read(tmp_path, make, place)
    np.testing.assert_allclose(forward(graph, IMAGES), expected(IMAGES), rtol=1e-6, atol=1e-6)
    if X in (left, right) and left is not right:
        wanted = "Rescaling" if place == "image" else "BatchNormalization"
        assert graph.nodes[-1].op == wanted


RELU = {"negative_slope": 0.1, "max_value": 1.0, "threshold": 0.5}
FUNCTIONS = {
    "relu": (
        keras2,
        ("nn.relu", X, {"name": None}),
        lambda x: np.maximum(x, 0),
    ),
    "relu6": (keras2, ("nn.relu6", X, {}), lambda x: np.clip(x, 0, 6)),
    "leaky": (
        keras2,
        ("nn.leaky_relu", X, {"alpha": 0.3}),
        lambda x: np.where(x > 0, x, np.float32(0.3) * x),
    ),
    "leaky by default": (
        keras2,
        ("nn.leaky_relu", X, {}),
        lambda x: np.where(x > 0, x, np.float32(0.2) * x),
    ),
    "clip": (
        keras2,
        ("clip_by_value", X, {"clip_value_min": 0.0, "clip_value_max": 1.5}),
        lambda x: np.clip(x, 0, 1.5),
    ),
    "maximum": (keras2, ("math.maximum", X, {"y": 0.0}), lambda x: np.maximum(x, 0)),
    "negative": (keras2, ("math.negative", X, {"name": None}), lambda x: -x),
    "cast": (keras2, ("cast", X, {"dtype": "float32"}), lambda x: x),
    "mean": (keras2, ("math.reduce_mean", X, {"axis": [1, 2]}), lambda x: x.mean((1, 2))),
    "reshape": (keras2, ("reshape", X, {"shape": [-1, 36, 2]}), lambda x: x.reshape(-1, 36, 2)),
    "ops.Relu": (keras3, ("Relu", [X], {}), lambda x: np.maximum(x, 0)),
    "ops.LeakyRelu": (
        keras3,
        ("LeakyRelu", [X], {"negative_slope": 0.3}),
        lambda x: np.where(x > 0, x, np.float32(0.3) * x),
    ),
    "activations.relu": (
        keras3,
        ("ReLU", [X], RELU),
        lambda x: np.where(x > 0.5, np.minimum(x, 1), np.float32(0.1) * (x - 0.5)),
    ),
    "ops.Clip": (keras3, ("Clip", [X], {"x_min": 0.0, "x_max": 1.5}), lambda x: np.clip(x, 0, 1.5)),
    "ops.Mean": (
        keras3,
        ("Mean", [X], {"axis": [1, 2], "keepdims": True}),
        lambda x: x.mean((1, 2), keepdims=True),
    ),
    "ops.Concatenate": (
        keras3,
        ("Concatenate", [[X, X]], {"axis": -1}),
        lambda x: np.concatenate([x, x], -1),
    ),
    "ops.Reshape": (
        keras3,
        ("Reshape", [X], {"newshape": [-1, 36, 2]}),
        lambda x: x.reshape(-1, 36, 2),
    ),
}


@pytest.mark.parametrize("place", ["image", "map"])
@pytest.mark.parametrize("what", FUNCTIONS)
def test_functions(tmp_path, what, place):
    notation, arguments, expected = FUNCTIONS[what]
    graph = read(tmp_path, lambda source: notation(*arguments, source), place)
    np.testing.assert_allclose(forward(graph, IMAGES), expected(IMAGES), rtol=1e-5, atol=1e-6)


REFUSED = {
    "x / x": (keras2, ("math.truediv", X, {"y": X}), "divides by a tensor"),
    "1 / x": (keras2, ("math.truediv", 1.0, {"y": X}), "divides by a tensor"),
    "x / 0": (keras2, ("math.truediv", X, {"y": 0.0}), "divides by 0"),
    "column": (keras2, ("math.multiply", X, {"y": [[1.0], [2.0]]}), "one for each channel"),
    "clip below": (
        keras2,
        ("clip_by_value", X, {"clip_value_min": -1.0, "clip_value_max": 1.0}),
        "it clips",
    ),
    "maximum 1": (keras2, ("math.maximum", X, {"y": 1.0}), "a maximum is read"),
    "cast to int": (keras2, ("cast", X, {"dtype": "int32"}), "it casts to 'int32'"),
    "mean of rows": (keras2, ("math.reduce_mean", X, {"axis": 1}), "mean is over the axes 1"),
    "the batch": (keras2, ("reshape", X, {"shape": [-1, 2]}), r"it reshapes to \[-1, 2\]"),
    "gelu": (keras2, ("nn.gelu", X, {"approximate": True}), "approximate gelu"),
    "unknown": (keras2, ("math.cumsum", X, {}), "the function 'math.cumsum' is not known"),
    "argument": (keras2, ("nn.relu", X, {"gain": 2}), "with gain=2, which is not known"),
    "average": (keras3, ("Average", [X], {"axis": -1}), "the function 'Average' is not known"),
    "option": (keras3, ("Relu", [X], {"gain": 2}), "with gain=2, which is not known"),
    "strings": (keras3, ("Add", [X, "a"], {}), "found 'a' where numbers are needed"),
    "too many": (keras3, ("Relu", [X, 1, 2, 3, 4], {}), "was called with 5 arguments"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_functions_without_a_counterpart_are_refused(tmp_path, what):
    notation, arguments, match = REFUSED[what]
    with pytest.raises(IncompatibleModelError, match=f"f: .*{match}"):
        read(tmp_path, lambda source: notation(*arguments, source), "map")


def test_successive_scales_are_merged(tmp_path):
    layers = [image(dtype="uint8"), layer("Rescaling", "r", "image", scale=0.5, offset=PER_CHANNEL)]
    layers.append(keras2("math.multiply", X, {"y": 2.0}, "r"))
    layers.append(conv("c", "f", filters=2, size=1))
    weights = {"r": {}, "c": EYE}
    graph = load_model(write_h5(tmp_path / "m.h5", functional(layers), weights))
    assert [node.name for node in graph.nodes] == ["image", "f", "c"]
    assert graph.node("f").attrs == {"scale": 1.0, "offset": (1.0, -4.0)}


def test_sums_of_integers_are_refused(tmp_path):
    layers = [image(dtype="uint8"), keras2("math.add", X, {"y": 200}, "image")]
    with pytest.raises(IncompatibleModelError, match="f: its input is of type uint8"):
        load_model(write_h5(tmp_path / "m.h5", functional(layers), {}))


def test_functions_in_an_h5_of_keras_3(tmp_path):
    entry = keras3("Multiply", [X, 2.0], {}, "c")
    del entry["module"], entry["registered_name"]
    layers = [image(dtype="float32"), conv("c", "image", filters=2, size=1), entry]
    graph = load_model(write_h5(tmp_path / "m.h5", functional(layers), {"c": EYE}))
    np.testing.assert_allclose(forward(graph, IMAGES), IMAGES * 2, rtol=1e-6)


def test_a_layer_that_reads_a_refused_one_is_not_blamed(tmp_path):
    layers = [image(dtype="float32"), layer("LSTM", "l", "image")]
    layers.append(keras2("math.multiply", X, {"y": 2.0}, "l"))
    with pytest.raises(IncompatibleModelError) as caught:
        load_model(write_h5(tmp_path / "m.h5", functional(layers), {"l": {"kernel": kernel(1)}}))
    assert len(caught.value.reasons) == 1
