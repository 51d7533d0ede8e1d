"""Ranges of inputs and outputs, chosen for sources that did not set them."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.config import Calibration, Quantization
from pipeline.graph.forward import forward
from pipeline.preparation import prepare
from pipeline.quantization.assignment import assign
from pipeline.quantization.calibration import calibrate
from pipeline.quantization.integerize import integerize
from pipeline.quantization.refine.frames import Frames
from pipeline.quantization.refine.frontier import spread
from pipeline.quantization.refine.inputs import refine_input
from pipeline.quantization.refine.quality import outputs
from pipeline.quantization.refine.ranges import FEW, WIDE_FACTORS, Values, _reach, best_factor
from pipeline.quantization.refine.sequence import Sequence
from tests.pipeline.quantization.graphs import chain, conv
from tests.pipeline.quantization.refine.test_joins import DENSE, GAP, RELU
from tests.pipeline.quantization.refine.test_refine import pictures

OPTIONS = Quantization(calibration=Calibration(batch_size=10))


def test_every_beginning_is_spread_over_all_images():
    for count in (1, 2, 10, 820):
        order = spread(count)
        assert sorted(order) == list(range(count))
        for first in range(1, count + 1):
            ends = np.concatenate([[-1], np.sort(order[:first]), [count]])
            assert np.diff(ends).max() <= np.ceil(4 * count / first)


def levels(part, top, factor):
    """Return the error of 127 levels up to `factor` times `top`."""
    step = factor * top.max() / 127
    found = np.clip(np.rint(part.sums / step), 0, 127) * step
    return np.square(found - part.targets).mean(axis=0)


def sources(spread_of_sources, seed=0):
    """Return eight sources, each louder or softer than the others by a factor."""
    rng = np.random.default_rng(seed)
    loud = np.exp(spread_of_sources * rng.normal(size=8))
    sums = np.concatenate([rng.uniform(0, level, (200, 3)) for level in loud])
    return Values(sums, sums, np.repeat(np.arange(8), 200))


def test_a_range_has_headroom_where_sources_differ():
    """Fitted on all images at once, both would take the largest value itself."""
    alike = [best_factor(sources(0, seed), WIDE_FACTORS, levels, False)[0] for seed in range(9)]
    apart = [best_factor(sources(0.8, seed), WIDE_FACTORS, levels, False)[0] for seed in range(9)]
    assert max(alike) <= 1.1
    assert np.mean(apart) > 1.2


def float_model():
    graph, _ = prepare(chain(conv(5), ("ReLU", {}), conv(3), shape=(6, 6, 2), dtype="float32"))
    rng = np.random.default_rng(0)
    # Sources one after the other, each with values of its own: an average forgets the first.
    means = np.linspace(-9, 4, 10)
    images = np.concatenate([rng.normal(mean, 1, (10, 6, 6, 2)) for mean in means])
    return graph, images.astype(np.float32)


def test_inputs_of_early_sources_are_not_cut():
    graph, images = float_model()
    model = calibrate(graph, assign(graph, OPTIONS), images, OPTIONS)
    better = refine_input(model, images[:80], images[80:])
    assert (better.input.range_min < model.input.range_min - 1).all()
    wanted = forward(graph, images).reshape(100, -1)
    before, after = (
        np.square(outputs(graph, integerize(each), Frames(images)) - wanted).mean()
        for each in (model, better)
    )
    assert after < 0.7 * before


def test_inputs_that_fit_stay():
    graph, _ = float_model()
    images = np.random.default_rng(1).integers(0, 256, (40, 6, 6, 2)).astype(np.float32)
    model = calibrate(graph, assign(graph, OPTIONS), images, OPTIONS)
    if (model.input.range_max > 254).all():
        assert refine_input(model, images[:30], images[30:]) is model


def _wide(node):
    """Return a node with four times its range, as larger values elsewhere in the maps give it."""
    output = node.output
    return (
        node
        if output is None
        else replace(node, output=replace(output, range_max=4 * output.range_max))
    )


@pytest.mark.parametrize("count", [FEW - 1, FEW])
def test_few_images_do_not_make_ranges_of_channels_narrower(count):
    graph, _ = prepare(chain(conv(8), RELU, conv(8), RELU, GAP, DENSE, shape=(8, 8, 3)))
    images = pictures(count)
    options = replace(OPTIONS, weight_bits=8, activation_bits=8, observer="max")
    model = calibrate(graph, assign(graph, options), images, options)
    nodes = {name: _wide(node) for name, node in model.nodes.items()}
    model = replace(model, nodes=nodes)
    fit, held = Frames(images).split(count * 4 // 5)
    refined = Sequence(graph, model, fit, held, 0).run(lambda cost: None)
    narrower = [
        (_reach(refined.nodes[name].output) < 0.999 * _reach(node.output)).any()
        for name, node in model.nodes.items()
        if node.output is not None and not node.output.per_tensor
    ]
    assert narrower == [count == FEW]
