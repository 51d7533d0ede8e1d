"""Training that starts from another model's weights."""

import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.graph.architecture import build_graph
from pipeline.graph.architecture_file import read_architecture
from pipeline.graph.archive import save_graph
from pipeline.models.pretrained import take_weights


def mlp(*parameters, seed=0):
    return build_graph(read_architecture("mlp", parameters), seed=seed)


def test_weights_of_layers_with_equal_name_and_shape_are_used(tmp_path):
    source, path = mlp(seed=1), tmp_path / "source.npz"
    save_graph(path, source)
    graph, fresh = take_weights(mlp("classes=3"), path)
    for name in ("dense_0", "dense_1"):
        np.testing.assert_array_equal(
            graph.node(name).weights["kernel"], source.node(name).weights["kernel"]
        )
    np.testing.assert_array_equal(
        graph.node("dense").weights["kernel"], mlp("classes=3").node("dense").weights["kernel"]
    )
    assert len(fresh) == 1 and fresh[0].startswith("dense: keeps its fresh weights, it has kernel")
    graph, fresh = take_weights(mlp(), path)
    assert fresh == []


def test_foreign_files_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"training\.weights: no file"):
        take_weights(mlp(), tmp_path / "none.npz")
    save_graph(tmp_path / "ds_cnn.npz", build_graph(read_architecture("ds_cnn")))
    with pytest.raises(ModelError, match="no layer of mlp matches one"):
        take_weights(mlp("input_shape=[4,4,1]"), tmp_path / "ds_cnn.npz")
