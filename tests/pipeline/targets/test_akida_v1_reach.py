"""Registers that no potential comes near: smaller ones give the same levels."""

import numpy as np
import pytest

from pipeline.errors import IncompatibleModelError
from pipeline.graph.forward import forward
from pipeline.quantization.quantize import quantize
from pipeline.targets import convert
from pipeline.targets.akida_v1.reach import FAR, LARGEST_STEP, within_reach
from simulator import simulate
from tests.pipeline.targets.models import FLATTEN, RELU, UNIT, chain, conv, dense, images, options
from tests.simulator.akida_v1 import reference


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_levels_are_the_same_for_every_potential(bits):
    rng = np.random.default_rng(bits)
    replaced, levels = 0, set()
    for _ in range(400):
        bound = int(rng.integers(0, 40))
        step = float(np.float32(np.exp2(rng.uniform(0, 30))))
        middle = rng.uniform(-1.2, 1.2) * bound - step * rng.integers(-1, 2**bits + 1)
        threshold = float(rng.choice([np.rint(middle), rng.integers(-(2**33), 2**33)]))
        (new,), (new_step,) = within_reach(
            np.float64([threshold]), np.float32([step]), bits, np.float64([bound])
        )
        if step <= LARGEST_STEP and abs(threshold) < FAR:
            assert (new, new_step) == (threshold, step)
            continue
        if (new, new_step) == (threshold, step):
            continue
        replaced += 1
        assert abs(new) < FAR and new_step <= LARGEST_STEP and new == np.rint(new)
        for p in range(-bound, bound + 1):
            expected = reference.level(p, int(threshold), step, bits)
            assert reference.level(p, int(new), float(new_step), bits) == expected
            levels.add(expected)
    assert replaced > 100
    assert levels == set(range(2**bits))


def changed(scale, bias):
    """Return a model whose second filter has weights and a bias of other sizes."""
    graph = chain(UNIT, conv(5), RELU, conv(4), RELU, FLATTEN, dense(), seed=1)

    def change(node):
        if node.op != "Conv2D":
            return None
        kernel, biases = node.weights["kernel"].copy(), node.weights["bias"].copy()
        kernel[..., 1] *= scale
        biases[1] = bias
        return [node.with_weights(kernel=kernel, bias=biases)]

    return graph.rewrite(change)


@pytest.mark.parametrize("per_tensor", [False, True])
@pytest.mark.parametrize(
    ("scale", "bias"), [(0, 0), (1e-5, 0), (1, 1e4), (1, -1e4), (1e-4, 1e3), (1e-4, 2.3)]
)
def test_dead_filters_and_huge_biases_are_converted(scale, bias, per_tensor):
    """What the second filter means is the float model's, to half a level and its weights' own."""
    graph, x = changed(scale, bias), images()
    settings = options("quantizeml", per_tensor_activations=per_tensor, equalize=False)
    model = quantize(graph, x, settings)
    found, expected = {}, {}
    program = convert(model, "akida_v1")
    simulate(program, x, probe=lambda layer, y: found.update({layer.name: y}))
    forward(graph, x, probe=lambda name, y: expected.update({name: y}))
    relu = next(node for node in model.nodes if node.op == "ReLU")
    level = min(2.0 ** -float(relu.format.frac_bits.min()), relu.attrs["max_value"] / 15)
    difference = found["conv2d_2"][..., 1] * level - expected[relu.name][..., 1]
    assert np.abs(difference).max() <= 0.6 * level


def test_a_last_bias_beyond_the_threshold_is_refused():
    graph = chain(UNIT, conv(5), RELU, FLATTEN, dense(), seed=1)
    last = graph.node("dense_5")
    graph = graph.with_nodes(
        last.with_weights(bias=np.float32([0, 1e9, 0])) if node is last else node
        for node in graph.nodes
    )
    model = quantize(graph, images(), options("quantizeml"))
    with pytest.raises(IncompatibleModelError, match=r"dense_5: a threshold of .*hold 32 bits"):
        convert(model, "akida_v1")
