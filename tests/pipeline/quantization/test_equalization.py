from dataclasses import replace

import numpy as np
import pytest

from pipeline.quantization.calibrated_graph import OutputQuantizer
from pipeline.quantization.equalization import equalize, ideal_range
from tests.pipeline.quantization.graphs import RELU, chain, conv

PER_AXIS = OutputQuantizer(bits=8, per_tensor=False)
PER_TENSOR = OutputQuantizer(bits=8, per_tensor=True)


def equalized(graph, quantizers, ranges):
    """Return the equalized graph, and the new ranges and factors by node."""
    given = {name: replace(q, range_max=ranges[name]) for name, q in quantizers.items()}
    after, found = equalize(graph, given)
    return (
        after,
        {name: quantizer.range_max for name, quantizer in found.items()},
        {name: quantizer.rescaling_rate for name, quantizer in found.items()},
    )


@pytest.mark.parametrize(
    ("range_max", "bits", "expected"),
    [
        (6.0, 8, 4 * 255 / 256),
        (4.0, 8, 4 * 255 / 256),
        (3.99, 8, 2 * 255 / 256),
        (0.3, 4, 0.25 * 15 / 16),
        (1.0, 11, 2047 / 2048),
        (0.0, 8, 0.0),
    ],
)
def test_ideal_range_fills_the_codes(range_max, bits, expected):
    ideal = ideal_range(np.float32(range_max), bits)
    assert ideal == expected and ideal.dtype == np.float32


def test_every_power_of_two_is_its_own_octave():
    # from 2**13 on, the reference's logarithm is too low for some powers
    powers = np.ldexp(np.float32(1), np.arange(-12, 13))
    np.testing.assert_array_equal(ideal_range(powers, 8), powers * np.float32(255 / 256))
    below = np.nextafter(powers, np.float32(0))
    np.testing.assert_array_equal(ideal_range(below, 8), powers * np.float32(255 / 512))


def test_the_next_kernel_is_divided_per_input_channel():
    graph = chain(conv(2), RELU, conv(3))
    ranges = {"relu_2": np.float32([6, 0.5])}
    after, new, rates = equalized(graph, {"relu_2": PER_AXIS}, ranges)
    ideal = np.float32([4 * 255 / 256, 0.5 * 255 / 256])
    np.testing.assert_array_equal(new["relu_2"], ideal)
    np.testing.assert_array_equal(rates["relu_2"], ideal / np.float32([6, 0.5]))
    assert rates["relu_2"].dtype == np.float32
    before = graph.node("conv2d_3").weights["kernel"]
    np.testing.assert_array_equal(
        after.node("conv2d_3").weights["kernel"], before / rates["relu_2"][:, None]
    )
    assert after.node("conv2d_1").weights["kernel"] is graph.node("conv2d_1").weights["kernel"]


def test_dead_channels_are_unchanged():
    graph = chain(conv(2), RELU, conv(3))
    after, new, rates = equalized(graph, {"relu_2": PER_AXIS}, {"relu_2": np.float32([0, 4])})
    np.testing.assert_array_equal(new["relu_2"], np.float32([0, 4 * 255 / 256]))
    np.testing.assert_array_equal(rates["relu_2"], np.float32([1, 255 / 256]))
    before = graph.node("conv2d_3").weights["kernel"]
    np.testing.assert_array_equal(
        after.node("conv2d_3").weights["kernel"][:, :, 0], before[:, :, 0]
    )


def test_an_all_dead_output_is_unchanged():
    graph = chain(conv(2), RELU, conv(3))
    _, new, rates = equalized(graph, {"relu_2": PER_TENSOR}, {"relu_2": np.float32(0)})
    assert new["relu_2"] == 0 and rates["relu_2"] == 1


@pytest.mark.parametrize(
    ("op", "attrs", "key", "axis"),
    [
        ("Conv2D", {"filters": 3, "kernel_size": 1}, "kernel", 2),
        ("DepthwiseConv2D", {"kernel_size": 3}, "kernel", 2),
        ("SeparableConv2D", {"filters": 3, "kernel_size": 3}, "depthwise_kernel", 2),
        ("Conv2DTranspose", {"filters": 3, "kernel_size": 3}, "kernel", 3),
        ("DepthwiseConv2DTranspose", {"kernel_size": 3}, "kernel", 2),
        ("Dense", {"units": 3}, "kernel", 0),
    ],
)
def test_input_channel_axis_of_every_kernel(op, attrs, key, axis):
    graph = chain(conv(2), RELU, (op, attrs))
    after, _, rates = equalized(graph, {"relu_2": PER_AXIS}, {"relu_2": np.float32([5, 3])})
    before, new = graph.node(graph.output).weights[key], after.node(graph.output).weights[key]
    for channel in range(2):
        np.testing.assert_array_equal(
            new.take(channel, axis), before.take(channel, axis) / rates["relu_2"][channel]
        )


def test_through_flatten_per_channel():
    graph = chain(conv(2), RELU, ("Flatten", {}), ("Dense", {"units": 3}))
    after, _, rates = equalized(graph, {"relu_2": PER_AXIS}, {"relu_2": np.float32([5, 3])})
    before, new = (g.node("dense_4").weights["kernel"] for g in (graph, after))
    np.testing.assert_array_equal(new[0::2], before[0::2] / rates["relu_2"][0])
    np.testing.assert_array_equal(new[1::2], before[1::2] / rates["relu_2"][1])


def test_through_flatten_and_pooling_per_tensor():
    graph = chain(
        conv(2),
        RELU,
        ("MaxPooling2D", {}),
        ("Dropout", {}),
        ("Flatten", {}),
        ("Dense", {"units": 3}),
    )
    after, _, rates = equalized(graph, {"relu_2": PER_TENSOR}, {"relu_2": np.float32(5)})
    before, new = (g.node("dense_6").weights["kernel"] for g in (graph, after))
    np.testing.assert_array_equal(new, before / rates["relu_2"])


@pytest.mark.parametrize(
    "layers",
    [
        # two consumers
        (conv(2), RELU, conv(2), ("Add", {}, ("relu_2", "conv2d_3"))),
        # a concatenation is not a layer with a kernel
        (conv(2), RELU, conv(2), ("Concatenate", {}, ("conv2d_3", "relu_2")), conv(2)),
        # the output
        (conv(2), RELU),
        # a look-up table
        (conv(2), RELU, ("Activation", {"activation": "gelu"}), conv(2)),
        # per channel into a buffered temporal convolution
        (conv(2), RELU, ("BufferTempConv", {"filters": 2, "fifo_size": 3})),
    ],
)
def test_no_equalization(layers):
    graph = chain(*layers)
    ranges = {"relu_2": np.float32([5, 3])}
    after, new, rates = equalized(graph, {"relu_2": PER_AXIS}, ranges)
    np.testing.assert_array_equal(new["relu_2"], ranges["relu_2"])
    np.testing.assert_array_equal(rates["relu_2"], [1, 1])
    for node in graph.nodes:
        for key, value in node.weights.items():
            assert after.node(node.name).weights[key] is value


def test_sums_have_no_scale_to_carry_a_factor():
    graph = chain(conv(2), conv(2), ("Add", {}, ("conv2d_1", "conv2d_2")), conv(2))
    _, new, rates = equalized(graph, {"add_3": PER_TENSOR}, {"add_3": np.float32(5)})
    assert new["add_3"] == 5 and rates["add_3"] == 1
