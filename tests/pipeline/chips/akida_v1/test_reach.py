"""Registers beyond all potentials: smaller values give the same levels."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.chips import convert
from pipeline.chips.blocks import View
from pipeline.errors import IncompatibleModelError
from pipeline.graph.forward import forward
from pipeline.quantization.quantize import quantize
from pipeline.quantization.reach import (
    LARGEST_STEP,
    LARGEST_THRESHOLD,
    reach,
    reachable_registers,
)
from simulator import simulate
from tests.pipeline.chips.akida_v1.test_shared_scale import MODELS
from tests.pipeline.chips.quantized_models import (
    FLATTEN,
    RELU,
    UNIT,
    chain,
    conv,
    dense,
    images,
    options,
    quantized,
)
from tests.simulator.akida_v1 import reference


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_levels_are_the_same_for_every_potential(bits):
    """Small bounds with every potential, and the largest bounds that a layer has."""
    rng = np.random.default_rng(bits)
    replaced, kept, levels = 0, 0, set()
    for number in range(600):
        bound = int(rng.integers(0, 40)) if number % 2 else int(np.exp2(rng.uniform(20, 30)))
        step = float(np.float32(np.exp2(rng.uniform(0, 30))))
        near = rng.uniform(-1.2, 1.2) * bound - step * rng.integers(-1, 2**bits + 1)
        threshold = float(np.rint(rng.choice([near, rng.uniform(-(2**33), 2**33)])))
        (new,), (new_step,) = reachable_registers(
            np.float64([threshold]), np.float32([step]), bits, np.float64([bound])
        )
        large = step > LARGEST_STEP or abs(threshold) >= LARGEST_THRESHOLD
        if (new, new_step) == (threshold, step):
            kept += large
            continue
        assert large and new == np.rint(new)
        replaced += 1
        interval = step * 2 ** (4 - bits)
        edges = np.floor(threshold + interval * np.arange(2**bits)).astype(int)
        tried = [
            *(edges - 1),
            *edges,
            *(edges + 1),
            -bound,
            bound,
            *rng.integers(-bound, bound + 1, 9),
        ]
        potentials = range(-bound, bound + 1) if bound < 40 else tried
        for p in (int(p) for p in potentials if -bound <= p <= bound):
            expected = reference.level(p, int(threshold), step, bits)
            assert reference.level(p, int(new), float(new_step), bits) == expected
            levels.add(expected)
    assert replaced > 100 and (kept > 0) == (bits > 1)
    assert levels == set(range(2**bits))


@pytest.mark.parametrize("name", MODELS)
def test_no_potential_exceeds_the_bound(name):
    """Weights of one sign and the largest inputs reach the bound in windows without padding."""
    model = quantized(MODELS[name], "quantizeml", shape=(9, 9, 3))
    highest = 255
    blocks = View(model, model).blocks
    for block, layer in zip(blocks, convert(model, "akida_v1").layers, strict=True):
        kernels = {
            n: np.abs(getattr(layer, n)) for n in ("weights", "weights_pw") if hasattr(layer, n)
        }
        x = np.full((1, *layer.input_shapes[0]), highest)
        potentials = replace(layer, **kernels).potentials(x)
        np.testing.assert_array_equal(reach(block.head, highest, 1), potentials.max(axis=(0, 1, 2)))
        highest = 2**layer.act_bits - 1


def changed(scale, bias):
    """Return a model with scaled weights and bias in its second filter."""
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
    """The second filter's output is the float model's, up to half a level and weight rounding."""
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
    with pytest.raises(IncompatibleModelError, match=r"dense_5: .*thresholds up to .*32 bits"):
        convert(model, "akida_v1")
