"""Arguments of layer calls: training, masks, constants, named and nested tensors."""

import numpy as np
import pytest

from pipeline.errors import IncompatibleModelError, ModelError
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

CONV = {"kernel": kernel(3, 3, 2, 3), "bias": kernel(3)}
SHAPE = (6, 6, 2)
IMAGES = np.random.default_rng(0).normal(size=(3, *SHAPE)).astype(np.float32)


def called(arguments, kind="Dropout", **config):
    """Return a model whose last layer was called with `arguments`."""
    last = layer(kind, "last", "image", **config)
    last["inbound_nodes"] = arguments
    return functional([image(dtype="float32"), last])


def tensor(name, number=0, output=0):
    return {
        "class_name": "__keras_tensor__",
        "config": {"keras_history": [name, number, output]},
    }


@pytest.mark.parametrize("kind", ["Dropout", "BatchNormalization", "GaussianNoise", "RandomFlip"])
@pytest.mark.parametrize("training", [True, 1])
def test_training_is_refused_if_keras_2_keeps_it(tmp_path, kind, training):
    config = called([[["image", 0, 0, {"training": training}]]], kind)
    with pytest.raises(IncompatibleModelError, match="last: it was called with training=True"):
        load_model(write_h5(tmp_path / "m.h5", config, {"last": {}}))


@pytest.mark.parametrize("kind", ["Dropout", "RandomFlip"])
def test_training_does_not_affect_predictions_of_keras_3(tmp_path, kind):
    config = called([{"args": [tensor("image")], "kwargs": {"training": True}}], kind)
    graph = load_model(write_keras(tmp_path / "m.keras", config, {}))
    np.testing.assert_array_equal(forward(graph, IMAGES), IMAGES)


@pytest.mark.parametrize("training", [False, None])
def test_inference_is_read(tmp_path, training):
    config = called([[["image", 0, 0, {"training": training, "mask": None}]]])
    assert load_model(write_h5(tmp_path / "m.h5", config, {"last": {}})).nodes[-1].op == "Dropout"


def test_nested_models_called_in_training_are_refused(tmp_path):
    inner = functional([image("x", dtype="float32"), layer("ReLU", "r", "x")], name="inner")
    nested = {**inner, "name": "inner", "inbound_nodes": [[["image", 0, 0, {"training": True}]]]}
    config = functional([image(dtype="float32"), nested])
    with pytest.raises(ModelError, match="'inner': it was called with training=True"):
        load_model(write_h5(tmp_path / "m.h5", config, {"inner": {}}))


@pytest.mark.parametrize(
    ("node", "match"),
    [
        ({"args": [tensor("image")], "kwargs": {"mask": tensor("image")}}, "with a mask"),
        ({"args": [tensor("image"), 2.0], "kwargs": {}}, "the argument 2 of 2.0"),
        ({"args": [tensor("image")], "kwargs": {"gain": 3}}, "the argument 'gain' of 3"),
        ({"args": [tensor("image", 0, 1)], "kwargs": {}}, "its output 1 is used"),
        ([["image", 0, 0, {"gain": 3}]], "the argument 'gain' of 3"),
        ([["image", 0, 1, {}]], "its output 1 is used"),
    ],
)
def test_other_arguments_are_refused(tmp_path, node, match):
    with pytest.raises(ModelError, match=match):
        load_model(write_h5(tmp_path / "m.h5", called([node]), {"last": {}}))


@pytest.mark.parametrize(
    "outputs",
    [{"logits": ["c", 0, 0]}, [["c", 0, 0]], ["c", 0, 0], [[["c", 0, 0]]], {"a": [["c", 0, 0]]}],
)
@pytest.mark.parametrize("inputs", [{"image": ["image", 0, 0]}, [["image", 0, 0]], ["image", 0, 0]])
def test_one_input_and_output_however_they_are_written(tmp_path, inputs, outputs):
    config = functional([image(), conv("c", "image")])
    config["config"].update(input_layers=inputs, output_layers=outputs)
    assert load_model(write_h5(tmp_path / "m.h5", config, {"c": CONV})).output == "c"


@pytest.mark.parametrize(
    "outputs", [{"a": ["c", 0, 0], "b": ["image", 0, 0]}, [["c", 0, 0], ["image", 0, 0]]]
)
def test_several_outputs_are_read_one_after_the_other(tmp_path, outputs):
    config = functional([image(), conv("c", "image")])
    config["config"]["output_layers"] = outputs
    graph = load_model(write_h5(tmp_path / "m.h5", config, {"c": CONV}))
    assert [end.name for end in graph.ends] == ["c", "image"]


def test_a_second_output_of_a_layer_is_refused(tmp_path):
    config = functional([image(), conv("c", "image")])
    config["config"]["output_layers"] = ["c", 0, 1]
    with pytest.raises(ModelError, match=r"its output 1 is used"):
        load_model(write_h5(tmp_path / "m.h5", config, {"c": CONV}))


def test_a_sequential_as_a_bare_list(tmp_path):
    first = conv("c", "x", batch_input_shape=[None, *SHAPE])
    config = {"class_name": "Sequential", "config": [first, layer("ReLU", "r", "c")]}
    for entry in config["config"]:
        del entry["inbound_nodes"], entry["name"]
    graph = load_model(write_h5(tmp_path / "m.h5", config, {"c": CONV, "r": {}}))
    assert [node.op for node in graph.nodes] == ["Input", "Conv2D", "ReLU"]


@pytest.mark.parametrize("suffix", ["h5", "keras"])
@pytest.mark.parametrize("kind", ["Sequential", "Functional"])
def test_two_layers_of_one_name_are_refused(tmp_path, suffix, kind):
    layers = [image(), conv("c", "image", filters=2), conv("c", "c")]
    config = functional(layers)
    config["class_name"] = kind
    if suffix == "h5":
        path = write_h5(tmp_path / "m.h5", config, {"c": CONV})
    else:
        path = write_keras(tmp_path / "m.keras", config, {})
    with pytest.raises(ModelError, match="two layers of one model are named 'c'"):
        load_model(path)


def norm(value):
    return {
        "gamma": np.full(2, value, np.float32),
        "beta": np.zeros(2, np.float32),
        "moving_mean": np.zeros(2, np.float32),
        "moving_variance": np.ones(2, np.float32),
    }


def nested(names, inner_name="inner"):
    layers, source = [image("x", dtype="float32")], "x"
    for name in names:
        layers.append(layer("BatchNormalization", name, source, epsilon=0.0))
        source = name
    inner = functional(layers, name=inner_name)
    return {**inner, "name": inner_name, "inbound_nodes": [[["image", 0, 0, {}]]]}


@pytest.mark.parametrize("names", [("bn", "fc/bn"), ("fc/bn", "bn"), ("bn", "fc/bn", "a/fc/bn")])
def test_names_that_end_in_the_name_of_another_layer(tmp_path, names):
    config = functional([image(dtype="float32"), nested(names)])
    stored = {
        f"{name}/{key}:0": array
        for number, name in enumerate(names, 2)
        for key, array in norm(number).items()
    }
    graph = load_model(write_h5(tmp_path / "m.h5", config, {"inner": stored}))
    for number, name in enumerate(names, 2):
        assert graph.node(f"inner/{name}").weights["gamma"][0] == number


def test_equal_names_in_models_inside_each_other(tmp_path):
    outer = nested(["bn"], "outer")
    deep = nested(["bn"], "deep")
    deep["inbound_nodes"] = [[["bn", 0, 0, {}]]]
    outer["config"]["layers"].append(deep)
    outer["config"]["output_layers"] = [["deep", 1, 0]]
    config = functional([image(dtype="float32"), outer])
    # One group, in the order of layers, with trainable variables of all layers first.
    one, two = norm(2), norm(3)
    names, arrays = [], []
    for keys in (("gamma", "beta"), ("moving_mean", "moving_variance")):
        for own in (one, two):
            names += [f"bn/{key}:0" for key in keys]
            arrays += [own[key] for key in keys]
    path = write_h5(tmp_path / "m.h5", config, {"outer": {"bn/gamma:0": one["gamma"]}})
    import h5py

    with h5py.File(path, "r+") as file:
        group = file["model_weights/outer"]
        # Keras makes equal names distinct in the file.
        stored = [f"part{number}/{name}" for number, name in enumerate(names)]
        group.attrs["weight_names"] = [name.encode() for name in stored]
        for name, array in zip(stored, arrays, strict=True):
            group[name] = array
    graph = load_model(path)
    assert graph.node("outer/bn").weights["gamma"][0] == 2
    assert graph.node("outer/deep/bn").weights["gamma"][0] == 3


def test_numbered_variables_of_tensorflow_1(tmp_path):
    config = functional([image(), conv("c", "image")])
    stored = {f"c_2/{key}_1:0": array for key, array in CONV.items()}
    graph = load_model(write_h5(tmp_path / "m.h5", config, {"c": stored}))
    np.testing.assert_array_equal(graph.node("c").weights["kernel"], CONV["kernel"])
