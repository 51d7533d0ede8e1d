"""Scheme cnn2snn on Akida 1.0: registers equal the published formulas, outputs the float model."""

import numpy as np
import pytest

from conformance.legacy import compare, relative
from pipeline.chips import convert
from pipeline.chips.akida_v1.lowering import chain_neurons
from pipeline.errors import IncompatibleModelError
from pipeline.quantization.integerize_legacy import integerize_legacy
from pipeline.quantization.legacy_graph import WeightQuantizer
from pipeline.quantization.schemes.cnn2snn import legacy
from simulator import akida_v1
from tests.pipeline.chips.quantized_models import (
    BATCHNORM,
    FLATTEN,
    GAP,
    MAXPOOL,
    RELU,
    SCALED,
    UNIT,
    chain,
    conv,
    dense,
    images,
    options,
    separable,
)

MODELS = {
    "plain": [conv(5, strides=2), BATCHNORM, RELU, FLATTEN, dense()],
    "scaled": [SCALED, conv(5), RELU, MAXPOOL, conv(4, 1), RELU, FLATTEN, dense()],
    "unit": [
        UNIT,
        conv(5),
        MAXPOOL,
        BATCHNORM,
        RELU,
        separable(6),
        BATCHNORM,
        RELU,
        FLATTEN,
        dense(),
    ],
    "average": [conv(5), RELU, separable(6), GAP, BATCHNORM, RELU, dense(7), RELU, dense()],
    "last": [conv(5, use_bias=False), RELU, conv(4), GAP],
    "unbounded": [conv(5), ("ReLU", {"max_value": None}), FLATTEN, dense(use_bias=False)],
    "valid": [conv(5, padding="valid"), RELU, FLATTEN, dense()],
}


def made(name, bits=4, **changes):
    graph = chain(*MODELS[name], seed=len(name))
    model = legacy(graph, options("cnn2snn", activation_bits=bits, **changes))
    return model, integerize_legacy(model)


def legacy_quantized(kernel, bits, *, per_tensor=False):
    """Fake-quantize by the published formula; return (integers, factor)."""
    highest = 2.0 ** (bits - 1) - 1
    axes = None if per_tensor else tuple(range(kernel.ndim - 1))
    factor = np.minimum(highest / np.abs(kernel).max(axis=axes), 1000)
    return np.rint(kernel * factor.astype(np.float32)), factor.astype(np.float64)


def expected_registers(graph):
    """Return {layer: (threshold, act_step)} of a prepared graph by the converter's formulas."""
    a, b, first, found = 1.0, 0.0, True, {}
    nodes = list(graph.nodes)
    for position, node in enumerate(nodes):
        if node.op == "Rescaling":
            a, b = 1 / node.attrs["scale"], -node.attrs["offset"] / node.attrs["scale"]
        if node.op not in ("Conv2D", "SeparableConv2D", "Dense"):
            continue
        bits = 8 if first else 4
        if node.op == "SeparableConv2D":
            _, dw = legacy_quantized(node.weights["depthwise_kernel"], bits, per_tensor=True)
            integers, delta = legacy_quantized(node.weights["pointwise_kernel"], bits)
            delta = delta * dw
        else:
            integers, delta = legacy_quantized(node.weights["kernel"], bits)
        tail = []
        for after in nodes[position + 1 :]:
            if after.op in ("Conv2D", "SeparableConv2D", "Dense"):
                break
            tail.append(after)
        relu = next((after for after in tail if after.op == "QuantizedReLU"), None)
        average = any(after.op == "GlobalAveragePooling2D" for after in tail)
        if relu is not None:
            act_bits = relu.attrs["bits"]
            step = relu.attrs["max_value"] / (2**act_bits - 1)
            start, step4 = step / 2, step * 2**act_bits / 16
        else:
            step = step4 = 1.0
            start = 0.0
        threshold = a * delta * (start - node.weights.get("bias", np.zeros(1)).astype(np.float64))
        act_step = a * delta * step4
        if first:
            threshold = (
                threshold + integers.sum(axis=(0, 1, 2)) * b if integers.ndim == 4 else threshold
            )
        if average:
            pixels = np.prod(graph.shapes[node.name][:2])
            threshold, act_step = threshold * pixels, act_step * pixels
        found[node.name] = (threshold, act_step)
        a, b, first = 1 / step, 0.0, False
    return found


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_thresholds_and_steps_follow_the_formulas(name, bits):
    model, quantized = made(name, bits)
    program = convert(quantized, "akida_v1")
    expected = expected_registers(model.graph)
    assert set(expected) == {layer.name for layer in program.layers}
    neurons = chain_neurons(quantized)
    for layer, neuron in zip(program.layers, neurons, strict=True):
        threshold, step = expected[layer.name]
        # The formulas in float64 against factors kept in float32.
        np.testing.assert_allclose(neuron.threshold, threshold, rtol=1e-6, atol=1e-3)
        np.testing.assert_allclose(layer.act_step, step, rtol=1e-6)
        np.testing.assert_array_equal(layer.threshold, np.floor(neuron.threshold))
        assert layer.act_step.dtype == np.float32


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_levels_equal_the_float_models_except_for_rounded_thresholds(name, bits):
    model, _ = made(name, bits)
    rows, outputs = compare(model, images(24))
    assert [row.exact for row in rows] == [0] * len(rows)
    assert all(row.largest <= 1 for row in rows)
    # Without rounding the float32 sums of either side only differ in their order.
    assert relative(outputs.exact, outputs.floats) < 1e-5
    # The last threshold is a whole potential too: an output is wrong by less than one of them.
    last = convert(integerize_legacy(model), "akida_v1").layers[-1]
    assert (np.abs(outputs.alone - outputs.exact) * last.act_step < 1 + 1e-4).all()


def test_weights_have_the_chips_layout():
    _, quantized = made("unit")
    program = convert(quantized, "akida_v1")
    first, fused, last = (program.layers[n] for n in (0, 1, 2))
    nodes = {node.name: node for node in quantized.nodes}
    np.testing.assert_array_equal(first.weights, nodes[first.name].registers["kernel"])
    np.testing.assert_array_equal(
        fused.weights, nodes[fused.name].registers["depthwise_kernel"][::-1, ::-1]
    )
    np.testing.assert_array_equal(fused.weights_pw, nodes[fused.name].registers["pointwise_kernel"])
    height, width, channels = last.input_shapes[0]
    kernel = nodes[last.name].registers["kernel"]
    for row, column, channel in [(0, 0, 0), (1, 0, 2), (0, 2, 5), (2, 1, 3)]:
        keras = (row * width + column) * channels + channel
        chip = (channel * width + column) * height + row
        np.testing.assert_array_equal(last.weights[0, 0, chip], kernel[keras])


def test_widths_are_those_of_the_options():
    program = convert(made("average", weight_bits=2, input_weight_bits=4)[1], "akida_v1")
    assert [layer.weights_bits for layer in program.layers] == [4, 2, 2, 2]
    assert [layer.activation for layer in program.layers] == [True, True, True, False]
    for layer in program.layers[1:]:
        assert np.abs(layer.weights).max() <= 1


@pytest.mark.parametrize(
    ("rescaling", "value"),
    [(SCALED, 127), (UNIT, 0), (("Rescaling", {"scale": 2.0, "offset": -40.0}), 20)],
)
def test_padding_value_is_the_pixel_of_zero(rescaling, value):
    graph = chain(rescaling, conv(4), RELU, FLATTEN, dense())
    program = convert(integerize_legacy(legacy(graph, options("cnn2snn"))), "akida_v1")
    assert program.layers[0].padding_value == value


def test_other_channel_counts_use_input_data():
    graph = chain(conv(4), RELU, FLATTEN, dense(), shape=(6, 6, 2))
    program = convert(integerize_legacy(legacy(graph, options("cnn2snn"))), "akida_v1")
    data, first, _ = program.layers
    assert isinstance(data, akida_v1.InputData) and type(first) is akida_v1.Convolutional
    assert any(line.startswith("input: 8-bit inputs") for line in program.limits())


def test_a_model_may_end_in_a_relu():
    model = legacy(chain(conv(4), RELU, conv(2), RELU), options("cnn2snn"))
    rows, outputs = compare(model, images(4))
    np.testing.assert_allclose(np.rint(outputs.chain / (6 / 15)) * (6 / 15), outputs.chain, 1e-6)
    assert [row.exact for row in rows] == [0, 0]
    np.testing.assert_array_equal(outputs.exact, np.rint(outputs.floats / np.float32(6 / 15)))


@pytest.mark.parametrize("scale", [-1 / 255, (1 / 255, 1 / 255, 1 / 100)])
def test_rescaling_must_be_one_positive_scale(scale):
    graph = chain(("Rescaling", {"scale": scale}), conv(4), RELU, FLATTEN, dense())
    with pytest.raises(IncompatibleModelError, match=r"rescaling_1: Rescaling by .* one positive"):
        integerize_legacy(legacy(graph, options("cnn2snn")))


def test_rescaling_follows_the_input():
    graph = chain(conv(4), RELU, ("Rescaling", {"scale": 2.0}), FLATTEN, dense())
    with pytest.raises(IncompatibleModelError, match="rescaling_3: Rescaling follows relu_2"):
        integerize_legacy(legacy(graph, options("cnn2snn")))


RESHAPED = ("Reshape", {"target_shape": (1, 1, 8)})


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ([UNIT, dense(5), RELU, dense()], (12,)),
        ([conv(4), RELU, FLATTEN, dense(8), RELU, RESHAPED, conv(3, 1)], (6, 6, 3)),
        ([UNIT, separable(4), RELU, FLATTEN, dense()], (6, 6, 3)),
        ([SCALED, conv(4, padding="valid"), RELU, FLATTEN, dense()], (6, 6, 2)),
        ([conv(4), RELU, conv(2), FLATTEN], (6, 6, 3)),
    ],
)
def test_other_first_and_last_layers(layers, shape):
    model = legacy(chain(*layers, shape=shape), options("cnn2snn"))
    rows, outputs = compare(model, images(12, shape))
    assert [row.exact for row in rows] == [0] * len(rows)
    assert outputs.chain.shape == outputs.floats.shape
    assert relative(outputs.exact, outputs.floats) < 1e-5


def test_a_kernel_of_zeros_has_the_largest_factor():
    for kind in ("max", "max_per_axis", "std", "std_per_axis"):
        quantizer = WeightQuantizer(bits=4, range=kind)
        kernel = np.zeros((3, 3, 2, 4), np.float32)
        assert (quantizer.factor(kernel) == 1000).all()
        assert not quantizer.integers(kernel).any()


def test_an_offset_needs_a_convolution_that_absorbs_it():
    graph = chain(SCALED, separable(4), RELU, FLATTEN, dense())
    with pytest.raises(
        IncompatibleModelError, match="an offset of the image before SeparableConv2D"
    ):
        convert(integerize_legacy(legacy(graph, options("cnn2snn"))), "akida_v1")
