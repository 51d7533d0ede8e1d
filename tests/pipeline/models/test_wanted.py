"""What a user says about a file: the sizes that it leaves open, and where the model ends."""

import json
import zipfile

import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.exporters import save_keras3
from pipeline.graph.architecture import build_graph
from pipeline.graph.architecture_file import read_architecture
from pipeline.graph.archive import save_graph
from pipeline.graph.forward import forward
from pipeline.models.file import read_float
from pipeline.models.source import source_graph
from pipeline.models.wanted import Wanted


@pytest.fixture
def graph():
    return build_graph(read_architecture("separable_cnn", []), seed=0)


@pytest.mark.parametrize(("save", "suffix"), [(save_graph, ".npz"), (save_keras3, ".keras")])
def test_every_format_ends_where_it_is_wanted_to(tmp_path, graph, save, suffix):
    path = tmp_path / f"model{suffix}"
    save(path, graph)
    whole = read_float(path)
    middle = whole.nodes[len(whole.nodes) // 2].name
    part = read_float(path, Wanted(until=middle))
    assert part.output == middle and len(part.nodes) < len(whole.nodes)
    images = np.zeros((2, *whole.shapes[whole.input.name]), np.uint8)
    seen = {}
    forward(whole, images, probe=seen.__setitem__)
    assert np.array_equal(forward(part, images), seen[middle])
    with pytest.raises(ModelError, match="has no layer 'other'; the last are"):
        read_float(path, Wanted(until="other"))


@pytest.mark.parametrize(("save", "suffix"), [(save_graph, ".npz"), (save_keras3, ".keras")])
def test_sizes_that_a_file_has_cannot_be_changed(tmp_path, graph, save, suffix):
    path = tmp_path / f"model{suffix}"
    save(path, graph)
    same = graph.shapes[graph.input.name]
    assert read_float(path, Wanted(input_shape=same)).shapes[graph.input.name] == same
    with pytest.raises(ModelError, match="its input has the sizes"):
        read_float(path, Wanted(input_shape=(7, 7, 1)))


def test_the_configuration_says_the_same(tmp_path, graph):
    path = tmp_path / "model.npz"
    save_graph(path, graph)
    middle = graph.nodes[3].name
    part, _ = source_graph({"path": str(path), "until": middle, "input_shape": None}, seed=0)
    assert part.output == middle
    for key, value in (("input_shape", "3,4"), ("input_shape", [0]), ("until", 3)):
        with pytest.raises(ModelError, match=f"{key} is"):
            source_graph({"path": str(path), key: value}, seed=0)


def test_what_is_said_survives_json():
    wanted = Wanted(input_shape=(3, 8, 8), until="a")
    assert Wanted.of(wanted.as_dict()) == wanted
    assert Wanted.of({}) == Wanted()


def test_a_keras_file_may_end_before_layers_that_cannot_be_read(tmp_path, graph):
    path, new = tmp_path / "model.keras", tmp_path / "new.keras"
    save_keras3(path, graph)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(new, "w") as archive:
        for name in old.namelist():
            data = old.read(name)
            if name == "config.json":
                data = json.loads(data)
                *_, before, layer = data["config"]["layers"]
                layer["class_name"] = "Unheard"
                data = json.dumps(data)
            archive.writestr(name, data)
    end = before["config"]["name"]
    with pytest.raises(ModelError, match="Unheard"):
        read_float(new)
    assert read_float(new, Wanted(until=end)).output == end
