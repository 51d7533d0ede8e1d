"""A moved activation is refitted to correlate with the activation of the averages."""

import numpy as np
import pytest

from pipeline.graph.architecture import build_graph
from pipeline.graph.forward import forward
from pipeline.transforms.gap.activation_match import match_activation, matchable
from pipeline.transforms.gap.batchnorm_statistics import measure_batchnorms
from pipeline.transforms.gap.gap_after_relu import _relocate
from pipeline.transforms.gap.runs import find_runs


def model(**batchnorm):
    body = [
        {"Rescaling": {"scale": "1/64", "offset": -2}},
        {"Conv2D": {"name": "c", "filters": 5, "kernel_size": 1, "use_bias": False}},
        {"GlobalAveragePooling2D": {"name": "gap"}},
        {"BatchNormalization": {"name": "bn", **batchnorm}},
        {"ReLU": {"name": "relu", "max_value": 6}},
    ]
    graph = build_graph({"name": "net", "input": {"shape": [6, 6, 3]}, "layers": body}, seed=1)
    seen = forward(graph.with_nodes(graph.nodes[:-2], "gap"), images())
    node = graph.node("bn")
    weights = {"moving_mean": seen.mean(0), "moving_variance": seen.var(0)}
    if "gamma" in node.weights:
        weights["gamma"] = np.array([1, -1, 2, 0.5, 1], np.float32)
    node = node.with_weights(**weights)
    return graph.with_nodes(node if old.name == "bn" else old for old in graph.nodes)


def images(count=300):
    rng = np.random.default_rng(1)
    level = rng.integers(70, 140, (count, 1, 1, 3))
    return (level + rng.integers(-70, 115, (count, 6, 6, 3))).astype(np.uint8)


def correlations(graph, original, x):
    one, other = forward(graph, x), forward(original, x)
    return [np.corrcoef(a, b)[0, 1] for a, b in zip(one.T, other.T, strict=True)]


@pytest.mark.parametrize("batchnorm", [{}, {"scale": False}, {"center": False}])
def test_averages_correlate_as_reported_and_better_than_before(batchnorm):
    original = model(**batchnorm)
    (run,) = find_runs(original)
    assert matchable(original, run)
    moved = measure_batchnorms(_relocate(original, run), ["bn"], images())
    new, report = match_activation(moved, original, run, images())
    found = report["correlation"]
    assert found["after"] > found["before"]
    # Float32 activations against float64 sums of them.
    assert np.mean(correlations(moved, original, images())) == pytest.approx(
        found["before"], abs=1e-3
    )
    assert np.mean(correlations(new, original, images())) == pytest.approx(found["after"], abs=1e-3)
    assert new.shapes == moved.shapes and new.parameters == moved.parameters


def test_channels_that_never_vary_keep_their_batch_norm():
    original = model()
    conv = original.node("c")
    kernel = conv.weights["kernel"].copy()
    kernel[..., 2] = 0
    conv = conv.with_weights(kernel=kernel)
    original = original.with_nodes(conv if n.name == "c" else n for n in original.nodes)
    (run,) = find_runs(original)
    moved = measure_batchnorms(_relocate(original, run), ["bn"], images())
    new, report = match_activation(moved, original, run, images())
    assert np.isfinite(forward(new, images())).all()
    np.testing.assert_array_equal(
        forward(new, images(3))[:, 2].round(4), forward(moved, images(3))[:, 2].round(4)
    )
    assert 0 < report["correlation"]["after"] <= 1
