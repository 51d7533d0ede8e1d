"""User classes and functions with names of Keras are refused by name."""

import json
import zipfile

import pytest

from pipeline.errors import IncompatibleModelError, ModelError
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
FUNCTION = {"module": "builtins", "class_name": "function", "registered_name": "function"}


def written(tmp_path, suffix, config):
    if suffix == "h5":
        return write_h5(tmp_path / "m.h5", config, {"c": CONV, "r": {}})
    return write_keras(tmp_path / "m.keras", config, {"layers/conv2d": list(CONV.values())})


def network():
    return functional([image(dtype="float32"), conv("c", "image"), layer("ReLU", "r", "c")])


@pytest.mark.parametrize("suffix", ["h5", "keras"])
@pytest.mark.parametrize(
    "change",
    [
        {"class_name": "mine>Conv2D"},
        {"class_name": "Custom>Conv2D"},
        {"class_name": "Conv2D", "module": None, "registered_name": "mine>Conv2D"},
        {"class_name": "Conv2D", "module": "my_layers", "registered_name": "Conv2D"},
        {"class_name": "Conv2D", "module": "__main__", "registered_name": None},
        {"class_name": "Conv2D", "module": "keras_extras.layers", "registered_name": None},
        {"class_name": "Conv2D", "module": 3},
    ],
)
def test_classes(tmp_path, suffix, change):
    config = network()
    config["config"]["layers"][1].update(change)
    with pytest.raises(IncompatibleModelError, match=r"c: '.*>Conv2D' is a user-defined class"):
        load_model(written(tmp_path, suffix, config))


@pytest.mark.parametrize("suffix", ["h5", "keras"])
@pytest.mark.parametrize(
    "module", ["keras.layers", "keras.src.layers.convolutional.conv2d", "tf_keras.src.layers"]
)
def test_keras_own_modules(tmp_path, suffix, module):
    config = network()
    config["config"]["layers"][1].update(module=module, registered_name=None)
    assert len(load_model(written(tmp_path, suffix, config)).nodes) == 3


@pytest.mark.parametrize("suffix", ["h5", "keras"])
@pytest.mark.parametrize("kind", ["Conv2D", "Activation"])
@pytest.mark.parametrize(
    "value",
    [
        "mine>relu",
        {**FUNCTION, "config": "mine>relu"},
        {**FUNCTION, "config": "relu"},
        {"class_name": "mine>ReLU", "config": {}},
        {"class_name": "function", "config": {"name": "relu"}},
    ],
)
def test_functions(tmp_path, suffix, kind, value):
    config = network()
    if kind == "Activation":
        config["config"]["layers"][2].update(class_name="Activation")
    where = 1 if kind == "Conv2D" else 2
    config["config"]["layers"][where]["config"]["activation"] = value
    with pytest.raises(IncompatibleModelError, match=r"user-defined|is not known"):
        load_model(written(tmp_path, suffix, config))


def test_a_layer_as_activation(tmp_path):
    config = network()
    options = {"max_value": 2.0, "negative_slope": 0.1, "threshold": 0.0}
    config["config"]["layers"][1]["config"]["activation"] = {
        "module": "keras.layers",
        "class_name": "ReLU",
        "config": {"name": "x", "dtype": "float32", **options},
    }
    graph = load_model(written(tmp_path, "h5", config))
    assert graph.node("c_activ").attrs == options


def test_models(tmp_path):
    config = network()
    config["registered_name"] = "mine>Functional"
    path = written(tmp_path, "keras", config)
    with pytest.raises(ModelError, match="the model is a mine>Functional"):
        load_model(path)


def test_vendor_classes_are_known_by_their_names_alone(tmp_path):
    config = network()
    config["config"]["layers"][1].update(class_name="Quantizer>PaddedConv2D")
    assert load_model(written(tmp_path, "h5", config)).node("c").op == "Conv2D"


def test_files_are_recognised_by_their_content(tmp_path):
    h5, keras = written(tmp_path, "h5", network()), written(tmp_path, "keras", network())
    for path, other in ((h5, "other.keras"), (keras, "other.h5")):
        copy = tmp_path / other
        copy.write_bytes(path.read_bytes())
        assert len(load_model(copy).nodes) == 3


def test_archives_from_windows(tmp_path):
    config = network()
    path = write_keras(tmp_path / "m.keras", config, {"layers\\conv2d": list(CONV.values())})
    assert load_model(path).node("c").weights["kernel"].shape == (3, 3, 2, 3)
    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("config.json")) == config
