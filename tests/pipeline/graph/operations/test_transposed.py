import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.graph.build import make_node
from pipeline.graph.forward import forward, run_node
from tests.pipeline.graph.chains import chain, normal


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


def test_dilation_is_refused():
    with pytest.raises(ModelError, match=r"n0: .*dilation_rate \(2, 2\)"):
        forward(
            chain(
                (4, 4, 2), ("Conv2DTranspose", {"filters": 1, "kernel_size": 3, "dilation_rate": 2})
            ),
            normal(1, 4, 4, 2),
        )
