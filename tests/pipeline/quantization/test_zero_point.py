import numpy as np

from pipeline.graph.forward import forward
from pipeline.quantization.zero_point import fold_zero_point
from tests.pipeline.quantization.graphs import chain, conv


def test_bias_takes_the_kernel_sum_times_the_minimum():
    graph = chain(conv(4), dtype="float32")
    low = np.float32([-1, 0, -0.25])
    after, padding = fold_zero_point(graph, low)
    before = graph.node("conv2d_1").weights
    sums = before["kernel"].sum(axis=(0, 1))
    np.testing.assert_allclose(
        after.node("conv2d_1").weights["bias"],
        before["bias"] + low @ sums,
        rtol=1e-5,  # another order of summation
    )
    np.testing.assert_array_equal(padding["conv2d_1"], np.float32([1, 0, 0.25]))


def test_equal_padding_values_become_one():
    graph = chain(conv(4), dtype="float32")
    _, padding = fold_zero_point(graph, np.float32([-1, -1, -1]))
    np.testing.assert_array_equal(padding["conv2d_1"], np.float32([1]))
    _, padding = fold_zero_point(graph, np.float32(-0.5))
    np.testing.assert_array_equal(padding["conv2d_1"], np.float32([0.5]))


def test_the_bias_is_always_there():
    graph = chain(conv(4, use_bias=False, strides=2), dtype="float32")
    after, padding = fold_zero_point(graph, np.float32(0))
    node = after.node("conv2d_1")
    assert node.attrs["use_bias"] and not node.weights["bias"].any()
    np.testing.assert_array_equal(padding["conv2d_1"], np.float32([0]))


def test_valid_convolutions_and_dense_layers_have_no_padding():
    valid = ("Conv2D", {"filters": 2, "kernel_size": 3})
    assert fold_zero_point(chain(valid, dtype="float32"), np.float32(-1))[1] == {}
    graph = chain(("Dense", {"units": 2}), shape=(4,), dtype="float32")
    after, padding = fold_zero_point(graph, np.float32(-2))
    before = graph.node("dense_1").weights
    assert padding == {}
    np.testing.assert_allclose(
        after.node("dense_1").weights["bias"],
        before["bias"] - 2 * before["kernel"].sum(axis=0),
        rtol=1e-6,  # another order of summation
    )


def test_a_rescaling_scales_the_minimum():
    graph = chain(("Rescaling", {"scale": 0.5}), conv(2), dtype="float32")
    after, padding = fold_zero_point(graph, np.float32(-4))
    before = graph.node("conv2d_2").weights
    np.testing.assert_allclose(
        after.node("conv2d_2").weights["bias"],
        before["bias"] - 2 * before["kernel"].sum(axis=(0, 1, 2)),
        rtol=1e-5,  # another order of summation
    )
    np.testing.assert_array_equal(padding["conv2d_2"], np.float32([2]))


def test_frames_share_the_minimum_of_their_channel():
    layer = ("BufferTempConv", {"filters": 2, "fifo_size": 3})
    graph = chain(layer, shape=(2, 2, 2), dtype="float32")
    after, _ = fold_zero_point(graph, np.float32([-1, 0]))
    before = graph.node("buffertempconv_1").weights
    np.testing.assert_allclose(
        after.node("buffertempconv_1").weights["bias"],
        before["bias"] - before["kernel"][0, 0, 0::2].sum(axis=0),
        rtol=1e-5,  # another order of summation
    )


def test_moved_images_give_the_same_outputs():
    graph = chain(("Rescaling", {"scale": 0.5}), conv(4, strides=2), dtype="float32")
    low = np.float32([-1, -0.25, -3])
    images = np.random.default_rng(0).uniform(-3, 3, (2, 6, 6, 3)).astype(np.float32)
    after, _ = fold_zero_point(graph, low)
    np.testing.assert_allclose(
        forward(after, images - low),
        forward(graph, images),
        atol=1e-5,  # float32 sums of 27 products
    )
