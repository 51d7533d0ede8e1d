"""Files of weights only, with the architecture from a JSON file or by its name."""

import json

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.cli.main import cli
from pipeline.errors import ModelError
from pipeline.exporters import save_keras2_h5, save_keras3
from pipeline.exporters.keras2 import keras2_model
from pipeline.graph.architecture import build_graph
from pipeline.graph.architecture_file import read_architecture
from pipeline.graph.forward import forward
from pipeline.models.file import read_float
from pipeline.models.wanted import Wanted

ZOO = "ds_cnn input_shape=[25,10,1]"


def weights_only(path, graph):
    """Write what ``save_weights`` of Keras 2 writes: the weights of a whole file, at its root."""
    save_keras2_h5(path.with_name("whole.h5"), graph)
    with h5py.File(path.with_name("whole.h5")) as whole, h5py.File(path, "w") as file:
        weights = whole["model_weights"]
        file.attrs.update(weights.attrs)
        for name in weights:
            weights.copy(name, file)
    return path


@pytest.fixture
def graph():
    name, *parameters = ZOO.split()
    return build_graph(read_architecture(name, parameters), seed=5)


@pytest.fixture
def file(tmp_path, graph):
    return weights_only(tmp_path / "w.h5", graph)


def same(found, graph):
    images = np.random.default_rng(0).integers(0, 256, (3, *graph.shapes["input"])).astype("u1")
    np.testing.assert_array_equal(forward(found, images), forward(graph, images))


def test_an_architecture_by_name(file, graph):
    same(read_float(file, Wanted(architecture=ZOO)), graph)


def test_an_architecture_in_json(file, graph, tmp_path):
    path = tmp_path / "model.json"
    path.write_text(json.dumps(keras2_model(graph)))
    same(read_float(file, Wanted(architecture=str(path))), graph)


def test_weights_alone_ask_for_the_architecture(file):
    with pytest.raises(ModelError, match=r"weights only.*model.architecture=model.json"):
        read_float(file)


def test_another_architecture_is_refused(file):
    with pytest.raises(ModelError, match=r"w.h5: has weights of .*, which .* lacks; give the"):
        read_float(file, Wanted(architecture="tutorial_cnn"))


def test_a_whole_file_needs_no_architecture(file):
    with pytest.raises(ModelError, match="has an architecture of its own; leave"):
        read_float(file.with_name("whole.h5"), Wanted(architecture=ZOO))


def test_the_content_decides_the_format_of_a_file(graph, tmp_path):
    for save, name in ((save_keras2_h5, "m.keras"), (save_keras3, "m.h5")):
        save(tmp_path / name, graph)
        same(read_float(tmp_path / name), graph)


@pytest.mark.parametrize("text", ["", "[]", '{"class_name": 1}', "\xff"])
def test_other_texts_are_refused(file, tmp_path, text):
    path = tmp_path / "model.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ModelError, match=r"model.json: its model configuration"):
        read_float(file, Wanted(architecture=str(path)))


def test_a_missing_text_is_named(file):
    with pytest.raises(ModelError, match=r"none.json: cannot be read"):
        read_float(file, Wanted(architecture="none.json"))


def test_migrate_records_the_architecture_and_verify_reads_it(file, tmp_path):
    new = tmp_path / "new.h5"
    arguments = [str(file), "--architecture", ZOO]
    found = CliRunner().invoke(cli, ["migrate", *arguments, "-o", str(new)])
    assert found.exit_code == 0, found.output
    content = json.loads((tmp_path / "new_certificate" / "certificate.json").read_text())
    assert content["input"]["read_with"]["architecture"] == ZOO
    found = CliRunner().invoke(cli, ["verify", str(tmp_path / "new_certificate")])
    assert found.exit_code == 0, found.output
    for command in (["check", "--fixable"], ["describe"]):
        found = CliRunner().invoke(cli, [*command, *arguments])
        assert found.exit_code == 0, found.output


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("generation", "name"),
    [("tf_keras", "w.h5"), ("tf_keras", "w.weights.h5"), ("keras", "w.weights.h5")],
)
def test_weights_that_keras_saves(tmp_path, generation, name):
    keras = pytest.importorskip(generation)
    layers = keras.layers
    inner = keras.Sequential(
        [layers.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU()]
    )
    model = keras.Sequential([layers.Input((8, 8, 3)), inner, layers.Flatten(), layers.Dense(2)])
    (tmp_path / "m.json").write_text(model.to_json())
    model.save_weights(tmp_path / name)
    graph = read_float(tmp_path / name, Wanted(architecture=str(tmp_path / "m.json")))
    images = np.random.default_rng(0).normal(size=(3, 8, 8, 3)).astype("f4")
    np.testing.assert_allclose(forward(graph, images), np.asarray(model(images)), atol=1e-5)
