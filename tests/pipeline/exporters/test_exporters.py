import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline.errors import IncompatibleModelError
from pipeline.exporters import save_keras2_h5, save_keras3
from pipeline.exporters.names import VERSIONS, renamed_for_keras, renaming_note
from pipeline.graph.build import make_node
from pipeline.graph.forward import forward
from pipeline.importers import load_model
from tests.pipeline.exporters.networks import NETWORKS, build, images

WRITERS = {"net.h5": save_keras2_h5, "net.keras": save_keras3}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("file", WRITERS)
def test_round_trip(tmp_path, network, file):
    graph = NETWORKS[network]()
    WRITERS[file](tmp_path / file, graph)
    again = load_model(tmp_path / file)
    assert again.parameters == graph.parameters
    assert again.input.attrs == graph.input.attrs
    # The same operations on the same weights.
    np.testing.assert_array_equal(forward(again, images(graph)), forward(graph, images(graph)))
    if network != "integers":
        renamed = renamed_for_keras(graph, VERSIONS[Path(file).suffix])
        # A .keras file holds parallel branches in the order in which Keras numbers them.
        assert again.by_name.keys() == renamed.by_name.keys()


def named(*names):
    return build({"Rescaling": {"scale": 1}}, *({"ReLU": {"name": name}} for name in names))


@pytest.mark.parametrize(
    ("suffix", "expected"),
    [
        (".h5", ["head_1", "a/b", "a__b", "c", "layer", "head"]),
        (".keras", ["head_1", "a__b_1", "a__b", "c", "layer", "head"]),
    ],
)
def test_names_that_a_keras_refuses_are_replaced(suffix, expected):
    graph = named("_head", "a/b", "a__b", "ä c", "_", "head")
    renamed = renamed_for_keras(graph, VERSIONS[suffix])
    assert [node.name for node in renamed.nodes][2:] == expected
    assert "_head is head_1, " in renaming_note(graph, suffix)
    assert renaming_note(renamed, suffix) is None and renaming_note(graph, ".npz") is None


@pytest.mark.parametrize("file", WRITERS)
def test_equal_graphs_give_equal_bytes(tmp_path, file):
    for name in ("a", "b"):
        WRITERS[file](tmp_path / name, NETWORKS["blocks"]())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_integers_are_cast_once_and_only_where_needed(tmp_path):
    save_keras2_h5(tmp_path / "m.h5", NETWORKS["integers"]())
    graph = load_model(tmp_path / "m.h5")
    assert [node.name for node in graph.consumers("input")] == ["input_as_float"]
    save_keras2_h5(tmp_path / "n.h5", graph)
    assert [n.name for n in load_model(tmp_path / "n.h5").nodes] == [n.name for n in graph.nodes]


def test_layers_without_consumers_are_left_out(tmp_path):
    graph = NETWORKS["blocks"]()
    dead = make_node("dead", "Flatten", ("rescaling",))
    save_keras2_h5(tmp_path / "m.h5", graph.with_nodes([*graph.nodes, dead]))
    with h5py.File(tmp_path / "m.h5") as file:
        assert "dead" not in file["model_weights"].attrs["layer_names"].astype(str)


def test_names_in_the_archive_have_no_slash(tmp_path):
    save_keras3(tmp_path / "m.keras", NETWORKS["blocks"]())
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        layers = json.loads(archive.read("config.json"))["config"]["layers"]
    names = [layer["config"]["name"] for layer in layers]
    assert names[5:7] == ["conv_0__relu", "s__1_1"]
    assert not any("/" in name for name in names)


def test_many_layers_with_long_names(tmp_path):
    layers = [{"ReLU": {"name": f"{number:04}{'x' * 200}"}} for number in range(700)]
    graph = build({"Rescaling": {"scale": 1}}, *layers, shape=(1,))
    save_keras2_h5(tmp_path / "m.h5", graph)
    with h5py.File(tmp_path / "m.h5") as file:
        chunks = [key for key in file["model_weights"].attrs if key.startswith("layer_names")]
        assert len(chunks) == 3
    assert len(load_model(tmp_path / "m.h5").nodes) == len(graph.nodes)


def test_what_keras_does_not_have_is_refused_together(tmp_path):
    graph = build(
        {"Rescaling": {"scale": 1}},
        {"DepthwiseConv2DTranspose": {"name": "up", "kernel_size": 3}},
        {"BufferTempConv": {"name": "fifo", "filters": 2, "fifo_size": 2}},
        {"Activation": {"name": "h", "activation": "hard_silu"}},
    )
    path = tmp_path / "m.h5"
    with pytest.raises(IncompatibleModelError) as caught:
        save_keras2_h5(path, graph)
    assert [line.split(":")[0] for line in caught.value.reasons] == ["up", "fifo", "h"]
    with pytest.raises(IncompatibleModelError, match="2 reasons"):
        save_keras3(path, graph)
    assert not path.exists()
