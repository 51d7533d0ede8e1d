import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.graph.forward import forward
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


def test_padding_value_surrounds_the_image_per_channel():
    graph = chain((1, 1, 2), ("Conv2D", {"filters": 1, "kernel_size": 3, "padding": "same"}))
    ones = np.ones((3, 3, 2, 1), np.float32)
    node = graph.nodes[-1].with_weights(kernel=ones, bias=np.zeros(1, np.float32))
    node = node.with_attrs(padding_value=(10.0, 0.5))
    graph = graph.with_nodes([graph.input, node])
    assert forward(graph, np.float32([[[[1, 2]]]])).item() == 3 + 8 * 10.5


def test_groups_divide_channels_and_filters():
    for attrs in ({"filters": 3, "groups": 2}, {"filters": 9, "groups": 3}):
        with pytest.raises(ModelError, match=r"n0: groups is .*must divide the 4 channels"):
            _ = chain((5, 5, 4), ("Conv2D", {"kernel_size": 3, **attrs})).shapes


def test_a_window_beyond_its_map_is_refused():
    with pytest.raises(ModelError, match=r"n1: a window of \(3, 3\) does not fit"):
        window = {"filters": 1, "kernel_size": 3}
        _ = chain((4, 4, 1), ("Conv2D", window), ("Conv2D", window)).shapes
