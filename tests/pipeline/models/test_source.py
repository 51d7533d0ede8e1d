"""Runs that start from a model file instead of an architecture."""

import numpy as np
import pytest

from pipeline.config import check
from pipeline.errors import ConfigError, ModelError
from pipeline.exporters import save_keras2_h5
from pipeline.graph.architecture import build_graph
from pipeline.graph.forward import forward
from pipeline.models.source import source_graph


def architecture(dtype="uint8"):
    return {
        "name": "old",
        "input": {"shape": [8, 8, 1], "dtype": dtype},
        "layers": [
            {"Rescaling": {"scale": 1 / 255}},
            {"conv_block": {"filters": 3, "kernel_size": 3, "relu_activation": "ReLU6"}},
            {"Flatten": {}},
            {"Dense": {"units": 4}},
            {"Softmax": {}},
        ],
    }


def test_a_file_gives_its_logits(tmp_path):
    graph = build_graph(architecture(), seed=1)
    save_keras2_h5(tmp_path / "old.h5", graph)
    found, notes = source_graph({"name": "import", "path": str(tmp_path / "old.h5")}, seed=0)
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), dtype=np.uint8)
    logits = forward(found, images)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    softmax = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(softmax, forward(graph, images), rtol=1e-5)  # float32 softmax
    assert any("softmax" in note.text for note in notes)


@pytest.mark.parametrize("asked", ["auto", "uint8"])
def test_float_inputs_take_the_images_of_the_data(tmp_path, asked):
    path = tmp_path / "old.h5"
    save_keras2_h5(path, build_graph(architecture("float32"), seed=1))
    graph, notes = source_graph({"path": str(path), "input_dtype": asked}, seed=0)
    assert graph.input.attrs["dtype"] == "uint8"
    assert any("takes uint8 images, as the data are" in note.text for note in notes)


def test_float_inputs_are_refused_where_they_are_to_stay(tmp_path):
    path = tmp_path / "old.h5"
    save_keras2_h5(path, build_graph(architecture("float32"), seed=1))
    with pytest.raises(ModelError, match=r"takes float32 images, .*model.input_dtype=auto"):
        source_graph({"path": str(path), "input_dtype": "float32"}, seed=0)


def test_a_missing_file(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        source_graph({"path": str(tmp_path / "none.h5")}, seed=0)


def test_the_path_must_be_given():
    with pytest.raises(ConfigError, match=r"model\.path: found null"):
        check({"model": {"name": "import", "path": None}})
