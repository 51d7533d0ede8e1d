import numpy as np
import pytest

from pipeline.graph.architecture import build_graph
from pipeline.graph.forward import forward
from pipeline.transforms.activation_ranges import fit_ranges
from pipeline.transforms.batchnorm_statistics import measure_batchnorms
from pipeline.transforms.gap_after_relu import gap_after_relu
from pipeline.transforms.gap_runs import find_runs
from pipeline.transforms.refit import refit
from tests.pipeline.transforms.test_gap_tuning import CONV, images, model, options

BLOCK = {**CONV, "pooling": "global_avg", "add_batchnorm": True, "relu_activation": "ReLU6"}


def moved(block=BLOCK, **layers):
    graph = model({"Dense": {"name": "head", "units": 3}}, block=block)
    new = gap_after_relu(graph, options(recalibrate="none")).graph
    return graph, measure_batchnorms(new, ["c/BN"], images()), find_runs(graph)[0]


@pytest.mark.parametrize("relu", ["ReLU6", "ReLU"])
def test_the_refit_explains_more_than_with_measured_statistics_alone(relu):
    graph, new, run = moved({**BLOCK, "relu_activation": relu})
    chosen = fit_ranges(new, graph, run, ["head"], images())
    _, with_ranges = refit(chosen, graph, "head", images())
    _, without = refit(new, graph, "head", images())
    assert with_ranges["residual"] < without["residual"]


def test_the_clip_covers_the_chosen_range_and_statistics_stay_measured():
    graph, new, run = moved()
    chosen = fit_ranges(new, graph, run, ["head"], images())
    for key in ("moving_mean", "moving_variance"):
        np.testing.assert_array_equal(
            chosen.node("c/BN").weights[key], new.node("c/BN").weights[key]
        )
    seen = forward(chosen.with_nodes(chosen.nodes, "c/relu"), images())
    assert seen.min() == 0
    assert seen.max() == 6
    # Both ends of a range are among the pixels' values.
    assert (seen.max((0, 1, 2)) > 5.9).all()


def test_a_channel_that_never_varies_keeps_what_it_had():
    graph, new, run = moved()
    kernel = graph.node("c").weights["kernel"].copy()
    kernel[..., 2] = 0
    edited = [
        g.with_nodes(n.with_weights(kernel=kernel) if n.name == "c" else n for n in g.nodes)
        for g in (graph, new)
    ]
    chosen = fit_ranges(edited[1], edited[0], run, ["head"], images())
    for key in ("gamma", "beta"):
        values = chosen.node("c/BN").weights[key]
        assert values[2] == new.node("c/BN").weights[key][2]
        assert np.isfinite(values).all()


@pytest.mark.parametrize("change", ["no batch norm", "another activation"])
def test_other_runs_are_left_alone(change):
    gap = {"GlobalAveragePooling2D": {"name": "gap"}}
    middle = ["ReLU"] if change == "no batch norm" else ["BatchNormalization", "LeakyReLU"]
    layers = [{"Conv2D": CONV}, gap, *middle, {"Dense": {"name": "head", "units": 3}}]
    graph = build_graph({"name": "net", "input": {"shape": [6, 6, 2]}, "layers": layers})
    new = gap_after_relu(graph, options(recalibrate="none")).graph
    assert fit_ranges(new, graph, find_runs(graph)[0], ["head"], images()) is new
