import json
import zipfile

import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.graph.architecture import build_graph
from pipeline.graph.archive import load_graph, save_graph
from simulator.archive import read_archive, write_archive


@pytest.fixture
def graph():
    return build_graph(
        {
            "name": "net",
            "input": {"shape": [9, 9, 1]},
            "layers": [
                {"Rescaling": {"scale": "1/255"}},
                {"ZeroPadding2D": {"padding": [[0, 1], [0, 1]]}},
                {
                    "conv_block": {
                        "name": "c",
                        "filters": 2,
                        "kernel_size": 3,
                        "add_batchnorm": True,
                    }
                },
                {"Conv2D": {"name": "p", "filters": 2, "kernel_size": 1, "input": "c"}},
                {"Concatenate": {"inputs": ["c/relu", "p"]}},
                {"Reshape": {"target_shape": [-1, 4]}},
                {"PReLU": {"shared_axes": [1]}},
            ],
        }
    )


def test_round_trip_keeps_everything(graph, tmp_path):
    save_graph(tmp_path / "g.npz", graph)
    again = load_graph(tmp_path / "g.npz")
    assert (again.name, again.output) == (graph.name, graph.output)
    for old, new in zip(graph.nodes, again.nodes, strict=True):
        assert (old.name, old.op, old.inputs) == (new.name, new.op, new.inputs)
        assert dict(old.attrs) == dict(new.attrs)
        assert list(old.weights) == list(new.weights)
        for key in old.weights:
            np.testing.assert_array_equal(old.weights[key], new.weights[key])
    assert again.shapes == graph.shapes


def test_same_graph_gives_same_bytes(graph, tmp_path):
    save_graph(tmp_path / "a.npz", graph)
    save_graph(tmp_path / "b.npz", load_graph(tmp_path / "a.npz"))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_arrays_are_named_after_node_and_weight(graph, tmp_path):
    save_graph(tmp_path / "g.npz", graph)
    with np.load(tmp_path / "g.npz") as arrays:
        np.testing.assert_array_equal(arrays["c/BN/gamma"], np.ones(2))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda h, a: a.pop("c/kernel"), "weight 'kernel' is missing"),
        (lambda h, a: a.update({"c/bias": np.zeros(5)}), r"c/bias: shape \(5,\), Conv2D needs"),
        (lambda h, a: h["nodes"][3]["weights"].remove("bias"), "c/bias: shape none"),
        (lambda h, a: h.update(version=99), "version 99"),
        (lambda h, a: h.update(kind="program"), "is a program, expected a graph"),
        (lambda h, a: h["nodes"][1].update(op="Conv3D"), "'Conv3D' is not known"),
        (lambda h, a: h["nodes"][1].pop("inputs"), "header is damaged"),
        (lambda h, a: h.pop("output"), "header is damaged"),
    ],
)
def test_damaged_files_are_refused(graph, tmp_path, edit, message):
    save_graph(tmp_path / "g.npz", graph)
    header, arrays = read_archive(tmp_path / "g.npz", "graph")
    edit(header, arrays)
    write_archive(tmp_path / "g.npz", header, arrays)
    with pytest.raises(ModelError, match=message):
        load_graph(tmp_path / "g.npz")


def test_missing_and_foreign_files_are_refused(tmp_path):
    with pytest.raises(ModelError, match="no such file"):
        load_graph(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("no zip")
    with pytest.raises(ModelError, match="not a readable"):
        load_graph(tmp_path / "text.npz")
    with zipfile.ZipFile(tmp_path / "list.npz", "w") as file:
        file.writestr("header.json", json.dumps([1]))
    with pytest.raises(ModelError, match="unknown kind"):
        load_graph(tmp_path / "list.npz")
