from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from pipeline.errors import ConfigError, ModelError
from pipeline.graph.architecture import build_graph
from pipeline.graph.forward import forward
from pipeline.transforms import TRANSFORMS, Images, apply
from pipeline.transforms.rewrite import Rewrite

DEFAULT = Path(__file__).parents[3] / "conf" / "model" / "separable_cnn.yaml"


def options(*names, strategy="exact", drop=None):
    gap = SimpleNamespace(strategy=strategy, recalibrate="none")
    return SimpleNamespace(names=names, gap=gap, max_accuracy_drop=drop)


@pytest.fixture
def graph():
    return build_graph(yaml.safe_load(DEFAULT.read_text()))


@pytest.fixture
def samples():
    return np.random.default_rng(0).integers(0, 256, (16, 8, 8, 1), dtype=np.uint8)


def test_the_upgrade_of_the_default_model(graph, samples):
    new, report = apply(graph, options("unfuse_separable", "gap_after_relu"), samples)
    assert list(report) == ["unfuse_separable", "gap_after_relu"]
    unfused, moved = report.values()
    assert unfused["changed"] == ["separable_1", "separable_2"]
    assert (unfused["max_abs_difference"], unfused["added_parameters"]) == (0.0, 0)
    assert unfused["added_macs"] == 0
    assert moved["changed"] == ["separable_2/global_avg"]
    assert moved["equivalent"]
    assert moved["max_abs_difference"] < 1e-4
    assert moved["agreement"] == 1.0
    assert moved["added_parameters"] == moved["added_macs"] == 64 * 64
    assert [node.name for node in new.nodes][-7:] == [
        "dw_separable_2",
        "pw_separable_2",
        "separable_2/BN",
        "separable_2/global_avg",
        "separable_2/global_avg/identity",
        "separable_2/relu",
        "dense",
    ]


def test_the_order_of_transforms_does_not_matter_here(graph, samples):
    one, _ = apply(graph, options("unfuse_separable", "gap_after_relu"), samples)
    two, _ = apply(graph, options("gap_after_relu", "unfuse_separable"), samples)
    assert [n.name for n in one.nodes] == [n.name for n in two.nodes]


def test_relocation_reports_its_difference(graph, samples):
    _, report = apply(graph, options("gap_after_relu", strategy="relocate"), samples)
    assert not report["gap_after_relu"]["equivalent"]
    assert report["gap_after_relu"]["max_abs_difference"] > 0
    assert report["gap_after_relu"]["added_parameters"] == 0


def test_no_transforms_change_nothing(graph, samples):
    assert apply(graph, options(), samples) == (graph, {})


def test_unknown_transform_is_refused(graph, samples):
    with pytest.raises(ConfigError, match="'unfuse'; allowed: continuous_activations, sink"):
        apply(graph, options("unfuse"), samples)


@pytest.mark.parametrize("shift", [0.1, np.nan])
def test_a_transform_that_breaks_its_promise_is_refused(graph, samples, monkeypatch, shift):
    def broken(graph, options, images):
        nodes = [
            n.with_weights(bias=n.weights["bias"] + np.float32(shift)) if n.name == "dense" else n
            for n in graph.nodes
        ]
        return Rewrite(graph=graph.with_nodes(nodes), changed=("dense",))

    monkeypatch.setitem(TRANSFORMS, "broken", broken)
    with pytest.raises(ModelError, match="changed the output"):
        apply(graph, options("broken"), samples)


def test_accuracy_is_reported_where_there_are_labels(graph, samples):
    images = Images(images=samples, test_images=samples, test_labels=np.zeros(16, np.int64))
    _, report = apply(graph, options("unfuse_separable", "gap_after_relu"), samples, images)
    scores = [
        change[key] for change in report.values() for key in ("accuracy_before", "accuracy_after")
    ]
    assert scores == [scores[0]] * 4
    _, report = apply(graph, options("gap_after_relu"), samples)
    assert "accuracy_after" not in report["gap_after_relu"]


def test_a_drop_beyond_the_limit_is_refused(graph, samples):
    # A head that predicts the first class exactly for small pooled activations.
    features = forward(graph.with_nodes(graph.nodes[:-1], graph.nodes[-1].inputs[0]), samples)
    kernel = np.zeros((64, 10), np.float32)
    kernel[:, 1] = 1
    bias = np.zeros(10, np.float32)
    bias[0] = np.median(features.sum(1)) * 1.001
    head = graph.node("dense").with_weights(kernel=kernel, bias=bias)
    graph = graph.with_nodes([*graph.nodes[:-1], head])
    images = Images(
        images=samples,
        test_images=samples,
        test_labels=forward(graph, samples).argmax(1),
    )
    relocate = options("gap_after_relu", strategy="relocate", drop=0.0)
    with pytest.raises(ModelError, match=r"accuracy fell from 1\.0000 .* allows 0\.0"):
        apply(graph, relocate, samples, images)
    # Without labels, every changed class counts.
    with pytest.raises(ModelError, match="accuracy fell"):
        apply(graph, relocate, samples)
    apply(graph, options("gap_after_relu", drop=0.0), samples)
