"""Scheme quantizeml on Akida 1.0: registers equal the converter's formulas, outputs Akida 2.0's."""

import numpy as np
import pytest

from pipeline.chips import convert
from pipeline.graph.forward import forward
from pipeline.preparation import prepare
from pipeline.quantization.quantize import quantize
from simulator import simulate
from tests.pipeline.chips.quantized_models import (
    BATCHNORM,
    FLATTEN,
    GAP,
    MAXPOOL,
    SCALED,
    UNIT,
    chain,
    conv,
    dense,
    images,
    options,
    quantized,
    separable,
)

TOP = ("ReLU", {"max_value": 7.5})
"""With one fractional bit the maximum is level 15 of 15: the grid is not refined."""

MODELS = {
    "plain": [conv(5, strides=2), BATCHNORM, TOP, FLATTEN, dense()],
    "scaled": [SCALED, conv(5), MAXPOOL, TOP, conv(4, 1), TOP, FLATTEN, dense()],
    "fused": [UNIT, conv(5), TOP, separable(6), BATCHNORM, TOP, FLATTEN, dense()],
    "average": [UNIT, conv(5), TOP, conv(6), GAP, BATCHNORM, TOP, dense()],
    "dense": [UNIT, conv(5), TOP, FLATTEN, dense(7), TOP, dense()],
    "last": [UNIT, conv(5, use_bias=False), TOP, conv(4), GAP],
}


def registers(node):
    return {key: np.asarray(value).astype(np.float64) for key, value in node.registers.items()}


def heads(model):
    """Yield (neural node, its ReLU or None, averaged pixels) of a linear integer model."""
    nodes = list(model.nodes)
    for position, node in enumerate(nodes):
        if node.op not in ("Conv2D", "SeparableConv2D", "Dense"):
            continue
        relu, pixels = None, 1
        for after in nodes[position + 1 :]:
            if after.op in ("Conv2D", "SeparableConv2D", "Dense", "Dequantizer"):
                break
            relu = after if after.op == "ReLU" else relu
            if after.op == "GlobalAveragePooling2D":
                pixels = int(np.prod(node.shape[:2]))
        yield node, relu, pixels


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("bits", [2, 4])
def test_thresholds_and_steps_follow_the_formulas(name, bits):
    layers = [
        ("ReLU", {"max_value": 7.5 if bits == 4 else 6.0}) if layer is TOP else layer
        for layer in MODELS[name]
    ]
    model = quantized(layers, "quantizeml", activation_bits=bits)
    program = convert(model, "akida_v1")
    scales = model.nodes[-1].registers["scales"]
    for layer, (node, relu, pixels) in zip(program.layers, heads(model), strict=True):
        mine = registers(node)
        bias = mine.get("bias", np.zeros(1)) * 2 ** mine.get("bias_shift", np.zeros(1))
        threshold = -bias * pixels
        if relu is None:
            step = 1 / scales.astype(np.float64)
        else:
            out = registers(relu)
            rec = np.float32(2.0 ** -out["output_shift"] / out["output_scales"])
            threshold = threshold + np.rint(0.5 * rec)
            step = rec * 2.0 ** (bits - 4)
            assert layer.act_bits == bits
        np.testing.assert_array_equal(layer.threshold, np.broadcast_to(threshold, (layer.filters,)))
        np.testing.assert_array_equal(
            layer.act_step, np.broadcast_to(np.float32(step), (layer.filters,))
        )
        assert layer.activation == (relu is not None)


@pytest.mark.parametrize("name", ["plain", "scaled", "dense"])
def test_both_chips_compute_the_same(name):
    """Levels on both targets differ only by ties and by the rounding of half a step."""
    model = quantized(MODELS[name], "quantizeml")
    inputs, levels = images(32), {"akida_v1": {}, "akida_v2": {}}
    outputs = {}
    for target, store in levels.items():
        program = convert(model, target)
        outputs[target] = simulate(
            program, inputs, probe=lambda layer, x, store=store: store.update({layer.name: x})
        )
    first = convert(model, "akida_v1").layers[0].name
    one, two = (levels[target][first].astype(int) for target in levels)
    assert np.abs(one - two).max() <= 1
    assert np.mean(one != two) < 5e-3
    assert np.mean(outputs["akida_v1"].argmax(-1) == outputs["akida_v2"].argmax(-1)) > 0.9


def test_the_last_layer_gives_the_floats_of_the_other_chip():
    """A single Dense after equal levels: without activations in between nothing is rounded."""
    model = quantized(MODELS["plain"], "quantizeml")
    one, two = convert(model, "akida_v1"), convert(model, "akida_v2")
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 16, (8, *one.layers[1].input_shapes[0]), dtype=np.int32)
    found = one.layers[1].run(levels)
    accumulators = two.layers[1].run(levels)
    expected = two.layers[2].run(accumulators)
    # Two float32 roundings of either side.
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def clipped(max_value, bits=4, seed=3):
    """Return a model whose first ReLU often reaches its maximum, and its integers."""
    graph = chain(
        ("Rescaling", {"scale": 1 / 16}),
        conv(8, padding="same"),
        ("ReLU", {"max_value": max_value}),
        conv(6),
        ("ReLU", {"max_value": max_value}),
        FLATTEN,
        dense(10),
        seed=seed,
    )
    return graph, quantize(graph, images(64), options("quantizeml", activation_bits=bits))


@pytest.mark.parametrize(("max_value", "bits"), [(6.0, 4), (3.0, 4), (5.0, 4), (1.7, 4), (3.0, 2)])
def test_levels_never_exceed_the_max_value(max_value, bits):
    _, model = clipped(max_value, bits)
    program = convert(model, "akida_v1")
    levels = {}
    simulate(program, images(64), probe=lambda layer, x: levels.update({layer.name: x}))
    relus = [node for node in model.nodes if node.op == "ReLU"]
    for layer, relu in zip(program.layers, relus, strict=False):
        highest = 2**bits - 1
        unit = 2.0 ** -float(relu.format.frac_bits)
        # Float value of a level, with or without a refined grid.
        unit *= min(1.0, max_value / unit / highest)
        assert levels[layer.name].max() * unit <= max_value * (1 + 1e-6)
        assert levels[layer.name].max() == highest


@pytest.mark.parametrize("max_value", [6.0, 5.0, 3.0])
def test_a_finer_grid_is_not_less_accurate(max_value):
    graph, model = clipped(max_value)
    inputs = images(64)
    expected = forward(prepare(graph)[0], inputs)
    error = {}
    for target in ("akida_v1", "akida_v2"):
        output = simulate(convert(model, target), inputs)
        error[target] = float(np.sqrt(np.mean((output - expected) ** 2)))
    assert error["akida_v1"] < error["akida_v2"] * 1.1


def test_a_grid_that_ends_at_the_maximum_is_unchanged():
    _, model = clipped(7.5)
    program = convert(model, "akida_v1")
    relu = next(node for node in model.nodes if node.op == "ReLU")
    rec = (
        2.0 ** -relu.registers["output_shift"].astype(np.float64) / relu.registers["output_scales"]
    )
    np.testing.assert_array_equal(program.layers[0].act_step, rec.astype(np.float32))


def test_a_padding_value_is_the_zero_of_the_image():
    program = convert(quantized(MODELS["scaled"], "quantizeml"), "akida_v1")
    assert program.layers[0].padding_value in (127, 128)
    assert (
        convert(quantized(MODELS["plain"], "quantizeml"), "akida_v1").layers[0].padding_value == 0
    )
