"""Models quantized with one scale per channel, on a chip with one scale per tensor.

Expected levels are computed from the quantized model in exact fractions: the value of each
accumulator in levels of the shared scale, rounding half down as the chip does.
"""

from fractions import Fraction
from math import ceil

import numpy as np
import pytest

from pipeline.chips import convert
from pipeline.chips.akida_v1.shared_scale_cost import difference_text, quantized_outputs
from pipeline.graph.forward import forward
from pipeline.preparation import prepare
from pipeline.quantization.quantize import quantize
from simulator import simulate
from tests.pipeline.chips.quantized_models import (
    BATCHNORM,
    FLATTEN,
    GAP,
    MAXPOOL,
    RELU,
    UNIT,
    chain,
    conv,
    dense,
    images,
    options,
    quantized,
    separable,
)
from tests.simulator.akida_v1 import reference

BRIGHT = ("Rescaling", {"scale": 1 / 40})
"""The largest filters reach the maximum of their ReLU."""
LOW = ("ReLU", {"max_value": 3.0})
"""With two fractional bits the maximum is level 12 of 15: the grid is refined."""
MODELS = {
    "flat": [UNIT, conv(5, strides=2), BATCHNORM, RELU, FLATTEN, dense()],
    "deep": [UNIT, conv(5), RELU, conv(6), LOW, conv(4, 1), RELU, FLATTEN, dense()],
    "pooled": [UNIT, conv(5), MAXPOOL, LOW, conv(6), MAXPOOL, RELU, FLATTEN, dense()],
    "separable": [UNIT, conv(5), RELU, separable(6), MAXPOOL, RELU, separable(4), GAP],
    "clipped": [BRIGHT, conv(6), LOW, conv(6), LOW, FLATTEN, dense()],
    "average": [UNIT, conv(5), RELU, conv(6), GAP, BATCHNORM, RELU, dense()],
    "dense": [UNIT, conv(5), LOW, FLATTEN, dense(7), RELU, dense()],
}
NEURAL = ("Conv2D", "SeparableConv2D", "Dense")


def uneven(layers, *, seed=0, shape=(6, 6, 3)):
    """Return a graph whose filters, and therefore scales, differ by powers of two."""
    rng = np.random.default_rng(seed)

    def change(node):
        if node.op not in ("Conv2D", "SeparableConv2D"):
            return None
        name = "pointwise_kernel" if node.op == "SeparableConv2D" else "kernel"
        kernel = node.weights[name]
        sizes = np.exp2(-(rng.permutation(kernel.shape[-1]) % 4) * 1.5).astype(np.float32)
        return [node.with_weights(**{name: kernel * sizes})]

    return chain(*layers, shape=shape, seed=seed).rewrite(change)


def integers(graph, **changes):
    settings = {"per_tensor_activations": False} | changes
    shape = tuple(graph.input.attrs["shape"])
    return quantize(graph, images(shape=shape), options("quantizeml", **settings))


def parts(model):
    """Yield (neural node, nodes between it and the next one) of a chain, and the Dequantizer."""
    nodes = list(model.nodes)
    starts = [n for n, node in enumerate(nodes) if node.op in NEURAL]
    for start, end in zip(starts, [*starts[1:], len(nodes)], strict=True):
        yield nodes[start], {node.op: node for node in nodes[start + 1 : end]}


def saturated(tail):
    return any("input_shift" in node.registers for node in tail.values())


def units(model):
    """Yield for each layer (accumulators per unit of potential, float values of its levels)."""
    potential = Fraction(1)
    for _, tail in parts(model):
        relu = tail.get("ReLU")
        if relu is None or "output_shift" not in relu.registers:
            yield potential, None
            continue
        own = [int(n) for n in np.atleast_1d(relu.format.frac_bits)]
        shared = Fraction(1, 2) ** (max(own) if saturated(tail) else min(own))
        highest = 2 ** relu.bits["output"] - 1
        level = min(shared, Fraction(relu.attrs["max_value"]) / highest)
        yield potential, level
        potential = level / Fraction(1, 2) ** max(own)


def exact_level(value, level, highest):
    return min(max(ceil(value / level - Fraction(1, 2)), 0), highest)


def sums(layer, image):
    """Return pooled potentials of one image in plain Python, [row][column][filter]."""
    registers = {
        **{name: getattr(layer, name) for name in vars(layer)},
        "activation": False,
        "threshold": [0] * layer.filters,
        "act_step": [1] * layer.filters,
    }
    listed = {
        key: value.tolist() if isinstance(value, np.ndarray) else value
        for key, value in registers.items()
    }
    return reference.run(type(layer).__name__, listed, image.tolist())


def bounds(node, relu, tail, potential, level, filter_, p):
    """Return the exact levels of a potential one below, at, and one above `p`."""

    def register(owner, name, default):
        values = np.atleast_1d(owner.registers.get(name, default))
        return int(values[filter_ % len(values)])

    bias = register(node, "bias", 0) * 2 ** register(node, "bias_shift", 0)
    if "GlobalAveragePooling2D" in tail:
        bias *= int(np.prod(node.shape[:2]))
    scale = register(relu, "output_scales", 1) * Fraction(2) ** register(relu, "output_shift", 0)
    own = np.atleast_1d(relu.format.frac_bits)
    worth = scale * Fraction(1, 2) ** int(own[filter_ % len(own)])
    highest = 2 ** relu.bits["output"] - 1
    return [exact_level((q * potential + bias) * worth, level, highest) for q in (p - 1, p, p + 1)]


@pytest.mark.parametrize("flatten", ["align", "saturate"])
@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("name", MODELS)
def test_levels_equal_the_scaled_accumulators(name, bits, flatten):
    """Rounding a threshold changes a level only if the potential is within one unit of its edge."""
    # Equalized channels use all levels; without, a maximum may lie below the highest one.
    settings = {"activation_bits": bits, "flatten": flatten, "equalize": name != "clipped"}
    model = integers(uneven(MODELS[name]), **settings)
    program = convert(model, "akida_v1")
    x = images(2, seed=7)
    levels = {}
    simulate(program, x, probe=lambda layer, y: levels.update({layer.name: y}))
    given, moved, total, apart, closer = x, 0, 0, 0, False
    layers = zip(parts(model), units(model), program.layers, strict=True)
    for (node, tail), (potential, level), layer in layers:
        assert layer.name == node.name
        if level is None:
            continue
        relu = tail["ReLU"]
        apart = max(apart, int(np.ptp(relu.format.frac_bits)))
        closer |= level.denominator % 5 == 0  # the maximum of LOW, not a power of two
        for image, found in zip(given, levels[layer.name], strict=True):
            pooled = sums(layer, image)
            for row, rows in enumerate(pooled):
                for column, pixel in enumerate(rows):
                    for f, p in enumerate(pixel):
                        below, exact, above = bounds(node, relu, tail, potential, level, f, p)
                        assert below <= found[row, column, f] <= above
                        moved += int(found[row, column, f]) != exact
                        total += 1
        given = levels[layer.name]
    assert apart > 0 or bits == 1  # a single bit has few scales to choose from
    assert closer or name != "clipped" or bits != 4
    assert moved <= 0.03 * total


@pytest.mark.parametrize("name", ["flat", "deep", "pooled", "dense"])
@pytest.mark.parametrize("flatten", ["align", "saturate"])
def test_the_quantized_model_is_the_other_chips(name, flatten):
    """The loss is measured against the integers of Akida 2.0, computed separately."""
    model = integers(uneven(MODELS[name]), flatten=flatten)
    x = images(24, seed=2)
    expected = simulate(convert(model, "akida_v2"), x)
    found = quantized_outputs(model, convert(model, "akida_v1"), x).reshape(expected.shape)
    # Equal accumulators, scaled in float64 and in float32.
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_little_less_accurate_than_one_scale_from_the_start(name):
    """Quantization with one scale equalizes channels, which is impossible for integers."""
    errors = {}
    for per_tensor in (False, True):
        errors[per_tensor] = 0.0
        for seed in range(6):
            graph, x = uneven(MODELS[name], seed=seed), images(48, seed=1)
            expected = forward(prepare(graph)[0], x)
            model = integers(graph, per_tensor_activations=per_tensor)
            found = simulate(convert(model, "akida_v1"), x).reshape(expected.shape)
            errors[per_tensor] += np.mean(np.abs(found - expected)) / expected.std()
    assert errors[False] < 1.5 * errors[True]


def test_a_saturating_flatten_uses_the_finest_scale():
    """The Flatten saturates at the finest channel's range, so that the finest scale suffices."""
    model = integers(uneven(MODELS["flat"]), flatten="saturate")
    program = convert(model, "akida_v1")
    (relu,) = (node for node in model.nodes if node.op == "ReLU")
    found = {}
    simulate(program, images(8), probe=lambda layer, y: found.update({layer.name: y}))
    accumulators = {}
    other = convert(model, "akida_v2")
    simulate(other, images(8), probe=lambda layer, y: accumulators.update({layer.name: y}))
    finest = relu.format.frac_bits.max()
    wide = np.left_shift(accumulators["conv2d_2"], finest - relu.format.frac_bits)
    own = np.exp2(finest - relu.format.frac_bits)
    # Within half a level of either grid.
    assert (np.abs(np.minimum(wide, 15) - found["conv2d_2"]) <= 0.5 + own / 2).all()
    assert "took the finest, at which the Flatten saturates" in program.notes[-1]


def test_channels_of_one_scale_change_nothing():
    model = quantized(MODELS["deep"], "quantizeml", shape=(6, 6, 3))
    assert convert(model, "akida_v1").notes == model.notes


def test_input_data_feeds_levels():
    model = integers(uneven(MODELS["flat"], shape=(6, 6, 2)))
    program = convert(model, "akida_v1")
    assert type(program.layers[0]).__name__ == "InputData"
    x = images(16, (6, 6, 2))
    expected = simulate(convert(model, "akida_v2"), x)
    assert np.mean(simulate(program, x).argmax(-1) == expected.argmax(-1)) > 0.8
    assert "took the coarsest" in program.notes[-1]


def test_the_note_measures_on_samples_and_names_the_option():
    model = integers(uneven(MODELS["deep"]))
    asked = []

    def samples():
        asked.append(True)
        return images(5)

    (note,) = convert(model, "akida_v1", samples=samples).notes[len(model.notes) :]
    expected = quantized_outputs(model, convert(model, "akida_v1"), images(5)).reshape(5, -1)
    found = simulate(convert(model, "akida_v1"), images(5))
    assert f"on 5 samples {difference_text(found, expected)}." in note
    assert "relu_3, relu_5, relu_7 took the coarsest" in note
    assert note.endswith("Avoid it with quantization.per_tensor_activations=true")
    (random,) = convert(model, "akida_v1").notes[len(model.notes) :]
    assert "on 64 random inputs " in random
    assert len(asked) == 1


def test_samples_are_loaded_only_if_they_are_needed():
    def never():
        raise AssertionError

    for target in ("akida_v1", "akida_v2"):
        convert(quantized(MODELS["flat"], "quantizeml"), target, samples=never)


def test_one_output_is_compared_by_its_spread():
    found = difference_text(np.float32([[1.0], [2.0]]), np.float32([[1.5], [2.5]]))
    assert found == "outputs change by 100.0% of their spread"
