from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.errors import DataError, IncompatibleModelError
from pipeline.graph.architecture import build_graph
from pipeline.graph.forward import forward
from pipeline.transforms import Images
from pipeline.transforms.gap.gap_after_relu import gap_after_relu
from pipeline.transforms.gap.refit import linear_layers, refit

CONV = {"name": "c", "filters": 6, "kernel_size": 3, "use_bias": False}
BLOCK = {**CONV, "pooling": "global_avg", "add_batchnorm": True, "relu_activation": "ReLU6"}
RESHAPE = {"Reshape": {"name": "map", "target_shape": [1, 1, 6]}}
HEADS = {
    "dense": [{"Dense": {"name": "head", "units": 3}}],
    "dense and batch norm": [
        {"Dropout": {"rate": 0.1}},
        {"dense_block": {"name": "head", "units": 5, "use_bias": False, "add_batchnorm": True}},
        {"Dense": {"units": 3}},
    ],
    "convolution": [
        RESHAPE,
        {"Conv2D": {"name": "head", "filters": 4, "kernel_size": 3, "padding": "same"}},
    ],
    "strided convolution": [
        RESHAPE,
        {
            "Conv2D": {
                **{"name": "head", "filters": 4, "kernel_size": 2, "strides": 2},
                **{"padding": "same", "use_bias": False},
            }
        },
    ],
    "separable": [
        RESHAPE,
        {
            "SeparableConv2D": {
                **{"name": "head", "filters": 4, "kernel_size": 3, "padding": "same"},
                "depth_multiplier": 2,
            }
        },
    ],
    "unfused": [
        RESHAPE,
        {"DepthwiseConv2D": {"kernel_size": 3, "padding": "same", "use_bias": False}},
        {"Conv2D": {"name": "head", "filters": 4, "kernel_size": 1}},
    ],
}


def options(strategy="relocate", recalibrate="bn_ridge", **more):
    gap = {
        **{"strategy": strategy, "recalibrate": recalibrate, "samples": 200, "seed": 0},
        **{"epochs": 8, "batch_size": 20, "optimizer": "adam", "learning_rate": 0.01},
        **{"schedule": "constant", "temperature": 2.0, **more},
    }
    return SimpleNamespace(gap=SimpleNamespace(**gap))


def model(*head, block=BLOCK):
    """Return a model whose batch norms have the statistics of their inputs."""
    layers = [{"Rescaling": {"scale": "1/64", "offset": -2}}, {"conv_block": block}, *head]
    graph = build_graph({"name": "net", "input": {"shape": [6, 6, 2]}, "layers": layers})
    rng = np.random.default_rng(0)
    for name in [node.name for node in graph.nodes if node.op == "BatchNormalization"]:
        source = graph.node(name).inputs[0]
        seen = forward(graph.with_nodes(graph.nodes, source), images())
        moments = {"moving_mean": seen.mean(0), "moving_variance": seen.var(0)}
        beta = rng.normal(size=seen.shape[-1]).astype(np.float32)
        node = graph.node(name).with_weights(beta=beta, **moments)
        graph = graph.with_nodes(node if n.name == name else n for n in graph.nodes)
    return graph


def images(count=200):
    rng = np.random.default_rng(1)
    level = rng.integers(80, 130, (count, 1, 1, 2))
    return (level + rng.integers(-80, 125, (count, 6, 6, 2))).astype(np.uint8)


def distance(graph, other):
    x = images()
    return np.sqrt(np.square(forward(graph, x) - forward(other, x)).mean())


def tuned(graph, settings=None):
    return gap_after_relu(graph, settings or options(), Images(images=images()))


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("recalibrate", ["ridge", "bn_ridge"])
def test_the_next_linear_layer_is_refitted(head, recalibrate):
    graph = model(*head)
    moved = tuned(graph, options(recalibrate="none")).graph
    result = tuned(graph, options(recalibrate=recalibrate))
    assert not result.equivalent
    assert next(iter(result.details["refitted"])) == "head"
    assert distance(result.graph, graph) < 0.7 * distance(moved, graph)
    assert result.graph.shapes == moved.shapes


def test_statistics_are_those_of_the_map():
    graph = model(*HEADS["dense"])
    result = tuned(graph, options(recalibrate="bn"))
    assert result.details["measured"] == ["c/BN"]
    seen = forward(graph.with_nodes(graph.nodes, "c"), images())
    weights = result.graph.node("c/BN").weights
    # Float32 activations, float64 sums.
    np.testing.assert_allclose(weights["moving_mean"], seen.mean((0, 1, 2)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(weights["moving_variance"], seen.var((0, 1, 2)), rtol=1e-3)
    np.testing.assert_array_equal(
        result.graph.node("head").weights["kernel"], graph.node("head").weights["kernel"]
    )


def test_without_a_refit_later_statistics_are_measured_as_well():
    graph = model(*HEADS["dense and batch norm"])
    assert tuned(graph, options(recalibrate="bn")).details["measured"] == ["c/BN", "head/BN"]
    assert tuned(graph).details["measured"] == ["c/BN"]


def test_a_following_batchnorm_absorbs_the_bias_and_otherwise_the_layer_gets_one():
    graph = model(*HEADS["dense and batch norm"])
    new = tuned(graph).graph
    assert "bias" not in new.node("head").weights
    assert new.parameters == graph.parameters
    graph = model(*HEADS["strided convolution"])
    new = tuned(graph).graph
    assert new.node("head").attrs["use_bias"]
    assert new.parameters == graph.parameters + 4


def test_a_refit_to_the_layer_itself_changes_almost_nothing():
    graph = model(*HEADS["convolution"])
    new, report = refit(graph, graph, "head", images())
    # Expected rounding noise makes weights slightly smaller than the least-squares ones.
    assert report["residual"] < 1e-5
    assert distance(new, graph) < 1e-2 * forward(graph, images()).std()


def test_every_branch_is_refitted_or_none():
    gap = {"GlobalAveragePooling2D": {"name": "gap"}}
    head = [
        {"Dense": {"name": "a", "units": 3}},
        {"Dense": {"name": "b", "units": 3, "input": "c/relu"}},
        {"Add": {"inputs": ["a", "b"]}},
    ]
    assert list(tuned(model(*head)).details["refitted"]) == ["a", "b"]
    graph = model(*head[:1], {"Concatenate": {"inputs": ["a", "c/relu"]}})
    with pytest.raises(IncompatibleModelError, match="c/global_avg: no Dense, Conv2D or"):
        tuned(graph)
    assert not tuned(graph, options(recalibrate="bn")).equivalent
    last = build_graph({"name": "net", "input": {"shape": [6, 6, 2]}, "layers": [gap]})
    assert linear_layers(last, "gap") == []


def test_commutation_is_reported():
    error = tuned(model(*HEADS["dense"])).details["commutation_error"]["c/global_avg"]
    assert len(error["channels"]) == 6
    assert 0 < error["mean"] <= error["max"]


def test_finetuning_needs_labels():
    with pytest.raises(DataError, match="have no labels; use distill"):
        tuned(model(*HEADS["dense"]), options("finetune"))


@pytest.mark.slow
def test_distillation_and_finetuning_reduce_the_error():
    graph = model(*HEADS["dense"], "Softmax")
    labels = forward(graph, images()).argmax(1)
    start = tuned(graph, options(recalibrate="bn"))
    result = tuned(graph, options("distill", "bn"))
    assert result.details["loss"][-1] < result.details["loss"][0]
    assert distance(result.graph, graph) < distance(start.graph, graph)
    # Statistics stay as measured: batch norms run in inference mode.
    for key in ("moving_mean", "moving_variance"):
        np.testing.assert_array_equal(
            result.graph.node("c/BN").weights[key], start.graph.node("c/BN").weights[key]
        )
    assert np.abs(
        result.graph.node("c").weights["kernel"] - graph.node("c").weights["kernel"]
    ).any()
    again = tuned(graph, options("distill", "bn"))
    for old, new in zip(result.graph.nodes, again.graph.nodes, strict=True):
        for key in old.weights:
            np.testing.assert_array_equal(old.weights[key], new.weights[key])
    settings = options("finetune", "bn", learning_rate=0.003)
    told = []
    known = Images(images=images(), labels=labels, progress=lambda *epoch: told.append(epoch))
    result = gap_after_relu(graph, settings, known)
    assert result.details["loss"][-1] < result.details["loss"][0]
    assert [(epoch, epochs) for epoch, epochs, _ in told] == [(n, 8) for n in range(1, 9)]
    assert [metrics["loss"] for *_, metrics in told] == result.details["loss"]
