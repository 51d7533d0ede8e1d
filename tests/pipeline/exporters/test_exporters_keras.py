"""Exported files are read by both generations of Keras."""

import numpy as np
import pytest

from pipeline.exporters import save_keras2_h5, save_keras3
from pipeline.graph.forward import forward
from pipeline.models.file import read_float
from tests.pipeline.exporters.networks import NETWORKS, build, images
from tests.pipeline.transforms.small_networks import Builder, conv

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.mark.parametrize("network", NETWORKS)
def test_keras_2_reads_the_h5(tmp_path, network):
    keras = pytest.importorskip("tf_keras")
    graph = NETWORKS[network]()
    save_keras2_h5(tmp_path / "m.h5", graph)
    check(keras.models.load_model(tmp_path / "m.h5"), graph)


@pytest.mark.parametrize("network", NETWORKS)
def test_keras_3_reads_the_archive(tmp_path, network):
    import keras

    graph = NETWORKS[network]()
    save_keras3(tmp_path / "m.keras", graph)
    check(keras.models.load_model(tmp_path / "m.keras"), graph)


@pytest.mark.parametrize(
    ("generation", "file", "slashed"),
    [
        ("tf_keras", "m.h5", "gap/identity"),
        ("keras", "m.keras", "gap/identity"),
        ("keras", "m.h5", "gap_identity"),
    ],
)
def test_keras_reads_every_name(tmp_path, generation, file, slashed):
    keras = pytest.importorskip(generation)
    names = ("_head", slashed, "b c", "__", "-x", "Größe", "a.b>c", "9")
    layers = ({"Dense": {"name": name, "units": 3}} for name in names)
    graph = build({"Rescaling": {"scale": 1}}, *layers, shape=(4,), name="_a net 1")
    {".h5": save_keras2_h5, ".keras": save_keras3}[(tmp_path / file).suffix](tmp_path / file, graph)
    check(keras.models.load_model(tmp_path / file), graph)


def check(model, graph):
    assert model.count_params() == graph.parameters
    found = np.asarray(model(images(graph), training=False))
    # Keras sums in another order.
    np.testing.assert_allclose(found, forward(graph, images(graph)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("generation", "file"), [("tf_keras", "m.h5"), ("keras", "m.keras")])
def test_parallel_branches_keep_their_weights(tmp_path, generation, file):
    keras = pytest.importorskip(generation)
    made = Builder((6, 6, 3), "float32", 0)
    start = made.add(conv())
    # Both are as far from the output; the walk back from it meets the second first.
    plain = made.add(conv(kernel=1, use_bias=False), source=start)
    made.join("Add", made.add(conv(kernel=1), source=start), plain)
    made.add(conv())
    graph = made.graph
    {".h5": save_keras2_h5, ".keras": save_keras3}[(tmp_path / file).suffix](tmp_path / file, graph)
    again = read_float(tmp_path / file)
    np.testing.assert_array_equal(forward(again, images(graph)), forward(graph, images(graph)))
    check(keras.models.load_model(tmp_path / file), graph)
