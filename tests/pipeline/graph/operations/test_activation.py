import math

import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.graph.forward import forward
from tests.pipeline.graph.chains import chain, normal


def test_relu_limits():
    x = np.float32([[-2, -0.5, 0.5, 1.5, 9]])
    attrs = {"max_value": 6, "negative_slope": 0.1, "threshold": 1}
    graph = chain((5,), ("ReLU", attrs))
    np.testing.assert_allclose(forward(graph, x), [[-0.3, -0.15, -0.05, 1.5, 6]], rtol=1e-6)


def test_prelu_shares_its_slopes_along_axes():
    graph = chain((2, 3, 2), ("PReLU", {"shared_axes": (1, 2)}))
    alpha = graph.nodes[-1].weights["alpha"]
    assert alpha.shape == (1, 1, 2)
    x = -np.abs(normal(1, 2, 3, 2))
    np.testing.assert_array_equal(forward(graph, x), alpha * x)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_quantized_relu_rounds_to_equal_steps(bits):
    """Ties round down: each step begins just above the midpoint between two levels."""
    step = 8 / (2**bits - 1)
    graph = chain((1,), ("QuantizedReLU", {"bits": bits, "max_value": 8.0}))
    x = np.linspace(-2, 10, 2401, dtype=np.float32)
    levels = [min(max(math.ceil(v / step - 0.5), 0), 2**bits - 1) for v in x.tolist()]
    middles = np.abs((x / step) % 1 - 0.5) < 1e-4  # where float32 may decide either way
    y = forward(graph, x[:, None])[:, 0]
    np.testing.assert_allclose(y[~middles], np.float32(levels)[~middles] * step, rtol=1e-6)


def test_softmax_sums_to_1_along_its_axis():
    y = forward(chain((3, 4, 2), ("Softmax", {"axis": 2})), 50 * normal(2, 3, 4, 2))
    np.testing.assert_allclose(y.sum(2), np.ones((2, 3, 2)), rtol=1e-6)


def test_an_axis_that_the_input_lacks_is_refused():
    for axis in (0, 4, -4):
        with pytest.raises(ModelError, match=f"n0: axis is {axis}; its input has the axes 1 to 3"):
            _ = chain((3, 4, 2), ("Softmax", {"axis": axis})).shapes


def test_an_unknown_function_is_refused():
    with pytest.raises(ModelError, match="n0: activation 'mish' is not known"):
        forward(chain((4, 4, 2), ("Activation", {"activation": "mish"})), normal(1, 4, 4, 2))
