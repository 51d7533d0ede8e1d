import math

import numpy as np
import pytest

from pipeline.errors import DataError, ModelError
from pipeline.graph.activations import ACTIVATIONS, erf
from pipeline.graph.build import make_node
from pipeline.graph.forward import forward, run_node
from pipeline.graph.graph import Graph
from simulator.windows import same_padding
from tests.pipeline.graph.chains import chain, normal


def naive_conv(x, node):
    """Convolve with six loops in float64, for any of the three convolutions without transpose."""
    attrs, kernel = node.attrs, node.weights["kernel"].astype(np.float64)
    (kh, kw), (sh, sw), (dh, dw) = attrs["kernel_size"], attrs["strides"], attrs["dilation_rate"]
    n, h, w, channels = x.shape
    depthwise = node.op == "DepthwiseConv2D"
    if attrs["padding"] == "same":
        rows = same_padding(h, (kh - 1) * dh + 1, sh)
        columns = same_padding(w, (kw - 1) * dw + 1, sw)
        x = np.pad(x, ((0, 0), rows, columns, (0, 0)))
    oh = (x.shape[1] - (kh - 1) * dh - 1) // sh + 1
    ow = (x.shape[2] - (kw - 1) * dw - 1) // sw + 1
    filters = channels * kernel.shape[3] if depthwise else kernel.shape[3]
    y = np.zeros((n, oh, ow, filters)) + node.weights["bias"]
    for i in range(oh):
        for j in range(ow):
            for a in range(kh):
                for b in range(kw):
                    pixel = x[:, i * sh + a * dh, j * sw + b * dw].astype(np.float64)
                    for f in range(filters):
                        if depthwise:
                            c, m = divmod(f, kernel.shape[3])
                            y[:, i, j, f] += pixel[:, c] * kernel[a, b, c, m]
                        else:
                            size = kernel.shape[2]
                            first = f // (filters // attrs.get("groups", 1)) * size
                            y[:, i, j, f] += pixel[:, first : first + size] @ kernel[a, b, :, f]
    return y


@pytest.mark.parametrize("kernel", [1, 2, 3, (5, 2)])
@pytest.mark.parametrize("strides", [1, 2, (2, 3)])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size", [(7, 8), (6, 5)])
def test_convolutions_equal_loops(kernel, strides, padding, size):
    attrs = {"kernel_size": kernel, "strides": strides, "padding": padding}
    x = normal(2, *size, 2)
    for op, more in (("Conv2D", {"filters": 3}), ("DepthwiseConv2D", {"depth_multiplier": 2})):
        graph = chain((*size, 2), (op, {**attrs, **more}))
        # 20 products of normal numbers: float32 sums are good to some 1e-6.
        np.testing.assert_allclose(forward(graph, x), naive_conv(x, graph.nodes[-1]), atol=1e-5)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_dilated_and_grouped_convolutions_equal_loops(padding):
    x = normal(2, 9, 8, 4)
    for attrs in ({"dilation_rate": (2, 3)}, {"groups": 2}):
        graph = chain(
            (9, 8, 4), ("Conv2D", {"filters": 6, "kernel_size": 3, "padding": padding, **attrs})
        )
        np.testing.assert_allclose(forward(graph, x), naive_conv(x, graph.nodes[-1]), atol=1e-5)


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_transposed_convolution_is_the_adjoint(kernel, stride, padding):
    """<conv(u), v> = <u, transposed(v)> for the convolution with the same kernel."""
    attrs = {"kernel_size": kernel, "strides": stride, "padding": padding, "use_bias": False}
    graph = chain((4, 5, 2), ("Conv2DTranspose", {**attrs, "filters": 3}))
    v, node = normal(1, 4, 5, 2), graph.nodes[-1]
    y = forward(graph, v)
    u = normal(*y.shape)
    back = make_node(
        "c", "Conv2D", ["input"], {**attrs, "filters": 2}, {"kernel": node.weights["kernel"]}
    )
    np.testing.assert_allclose(np.sum(run_node(back, u) * v), np.sum(u * y), rtol=1e-4, atol=1e-4)


def test_depthwise_transpose_is_the_diagonal_of_a_transpose():
    for kernel in (2, 3, 4):
        graph = chain((3, 4, 2), ("DepthwiseConv2DTranspose", {"kernel_size": kernel}))
        weights, x = graph.nodes[-1].weights, normal(2, 3, 4, 2)
        full = np.einsum("hwcm,cd->hwcd", weights["kernel"], np.eye(2))
        other = chain(
            (3, 4, 2),
            (
                "Conv2DTranspose",
                {"filters": 2, "kernel_size": kernel, "strides": 2, "padding": "same"},
            ),
        )
        node = other.nodes[-1].with_weights(kernel=np.float32(full), bias=weights["bias"])
        np.testing.assert_allclose(
            forward(graph, x), forward(other.with_nodes([other.input, node]), x), atol=1e-6
        )


def test_max_pool_ignores_its_padding():
    graph = chain((3, 3, 1), ("MaxPooling2D", {"padding": "same"}))
    x = -np.arange(1, 10, dtype=np.float32).reshape(1, 3, 3, 1)
    assert forward(graph, x).ravel().tolist() == [-1, -3, -7, -9]


def test_average_pool_counts_image_pixels_only():
    graph = chain((3, 3, 1), ("AveragePooling2D", {"padding": "same"}))
    x = np.arange(9, dtype=np.float32).reshape(1, 3, 3, 1)
    assert forward(graph, x).ravel().tolist() == [2, 3.5, 6.5, 8]


def test_padding_value_surrounds_the_image_per_channel():
    graph = chain((1, 1, 2), ("Conv2D", {"filters": 1, "kernel_size": 3, "padding": "same"}))
    ones = np.ones((3, 3, 2, 1), np.float32)
    node = graph.nodes[-1].with_weights(kernel=ones, bias=np.zeros(1, np.float32))
    node = node.with_attrs(padding_value=(10.0, 0.5))
    graph = graph.with_nodes([graph.input, node])
    assert forward(graph, np.float32([[[[1, 2]]]])).item() == 3 + 8 * 10.5


def test_relu_limits():
    x = np.float32([[-2, -0.5, 0.5, 1.5, 9]])
    attrs = {"max_value": 6, "negative_slope": 0.1, "threshold": 1}
    graph = chain((5,), ("ReLU", attrs))
    np.testing.assert_allclose(forward(graph, x), [[-0.3, -0.15, -0.05, 1.5, 6]], rtol=1e-6)


def test_rescaling_per_channel():
    graph = chain(
        (1, 1, 2), ("Rescaling", {"scale": (0.5, 2.0), "offset": (-1.0, 1.0)}), dtype="uint8"
    )
    assert forward(graph, np.uint8([[[[200, 3]]]])).ravel().tolist() == [99, 7]


def test_joins():
    nodes = [make_node("i", "Input", attrs={"shape": (1, 1, 2)})]
    nodes.append(make_node("add", "Add", ["i", "i"], {"average": True}))
    nodes.append(make_node("cat", "Concatenate", ["add", "i", "add"]))
    y = forward(Graph("m", nodes, "cat"), np.uint8([[[[4, 6]]]]))
    assert y.ravel().tolist() == [4, 6] * 3


@pytest.mark.parametrize("op", ["BufferTempConv", "DepthwiseBufferTempConv"])
@pytest.mark.parametrize("streams", [1, 2])
def test_buffers_hold_the_last_images_of_each_stream(op, streams):
    attrs = {"fifo_size": 3} | ({"filters": 2} if op == "BufferTempConv" else {})
    graph = chain((2, 1, 2), (op, attrs))
    weights, x = graph.nodes[-1].weights, normal(8, 2, 1, 2)
    expected = []
    buffers = {stream: [np.zeros((2, 1, 2))] * 3 for stream in range(streams)}
    for number, image in enumerate(x):
        fifo = buffers[number % streams] = [*buffers[number % streams][1:], image]
        if op == "BufferTempConv":
            y = np.concatenate(fifo, -1) @ weights["kernel"][0, 0]
        else:
            y = sum(old * k for old, k in zip(fifo, weights["kernel"], strict=True))
        expected.append(y + weights["bias"])
    for batch_size in (1, 3, 8):
        y = forward(graph, x, batch_size=batch_size, streams=streams)
        np.testing.assert_allclose(y, expected, atol=1e-5)


def test_erf_and_gelu():
    x = np.concatenate([np.linspace(-7, 7, 9001), [0.0, 1e-20, -50, 50]])
    np.testing.assert_allclose(erf(x), [math.erf(v) for v in x], atol=1e-10)
    exact = [v * (1 + math.erf(v / math.sqrt(2))) / 2 for v in x]
    np.testing.assert_allclose(ACTIVATIONS["gelu"](x, 0), exact, atol=1e-9)


def test_activations_keep_float32_and_stay_finite():
    x = np.float32([-200, -3, -1, 0, 1, 3, 200])
    for name, function in ACTIVATIONS.items():
        y = function(x, np.float32(0.2))
        assert y.dtype == np.float32, name
        assert np.all(np.isfinite(y)), name
    assert ACTIVATIONS["hard_silu"](x, 0).tolist() == [
        0,
        0,
        np.float32(-1 / 3),
        0,
        np.float32(2 / 3),
        3,
        200,
    ]


def test_probe_sees_every_node_of_every_batch():
    graph = chain((4, 4, 1), ("Conv2D", {"filters": 2, "kernel_size": 3}), ("Flatten", {}))
    seen = []
    y = forward(
        graph, normal(5, 4, 4, 1), batch_size=2, probe=lambda *a: seen.append((a[0], a[1].shape))
    )
    assert y.shape == (5, 8)
    assert seen[:3] == [("input", (2, 4, 4, 1)), ("n0", (2, 2, 2, 2)), ("n1", (2, 8))]
    assert [shape[0] for name, shape in seen if name == "n1"] == [2, 2, 1]
    assert forward(graph, normal(0, 4, 4, 1)).shape == (0, 8)


def test_output_need_not_be_the_last_node():
    graph = chain((4, 4, 1), ("Flatten", {}), ("Dense", {"units": 3}))
    assert forward(graph.with_nodes(graph.nodes, "n0"), normal(2, 4, 4, 1)).shape == (2, 16)


def test_images_of_another_shape_or_type_are_refused():
    graph = chain((4, 4, 1), ("Flatten", {}))
    with pytest.raises(DataError, match=r"\(2, 4, 4\); its input takes \(n, 4, 4, 1\)"):
        forward(graph, normal(2, 4, 4))
    with pytest.raises(DataError, match="of type <U1"):
        forward(graph, np.full((1, 4, 4, 1), "a"))
    with pytest.raises(DataError, match="3 images cannot be shared out to 2 streams"):
        forward(graph, normal(3, 4, 4, 1), streams=2)


def test_unknown_meanings_are_refused_by_name():
    for op, attrs, message in (
        ("BatchNormalization", {"axis": 1}, "n0: BatchNormalization over axis 1"),
        ("UpSampling2D", {"interpolation": "bilinear"}, "n0: interpolation 'bilinear'"),
        (
            "Conv2DTranspose",
            {"filters": 1, "kernel_size": 3, "dilation_rate": 2},
            r"n0: .*dilation_rate \(2, 2\)",
        ),
        ("Activation", {"activation": "mish"}, "n0: activation 'mish' is not known"),
    ):
        with pytest.raises(ModelError, match=message):
            forward(chain((4, 4, 2), (op, attrs)), normal(1, 4, 4, 2))
