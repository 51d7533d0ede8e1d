import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.graph.forward import forward
from pipeline.graph.operations.normalization import batchnorm_factors
from tests.pipeline.graph.chains import chain, normal


def test_rescaling_per_channel():
    graph = chain(
        (1, 1, 2), ("Rescaling", {"scale": (0.5, 2.0), "offset": (-1.0, 1.0)}), dtype="uint8"
    )
    assert forward(graph, np.uint8([[[[200, 3]]]])).ravel().tolist() == [99, 7]


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("scale", [True, False])
def test_a_batch_norm_is_a_scale_and_a_shift(center, scale):
    graph = chain((3, 2), ("BatchNormalization", {"center": center, "scale": scale}))
    node, x = graph.nodes[-1], normal(4, 3, 2)
    w = {key: array.astype(np.float64) for key, array in node.weights.items()}
    assert ("beta" in w, "gamma" in w) == (center, scale)
    expected = (x - w["moving_mean"]) / np.sqrt(w["moving_variance"] + 1e-3)
    expected = expected * w.get("gamma", 1) + w.get("beta", 0)
    np.testing.assert_allclose(forward(graph, x), expected, rtol=1e-5, atol=1e-5)
    factor, mean, beta = batchnorm_factors(node)
    np.testing.assert_allclose((x - mean) * factor + beta, expected, rtol=1e-5, atol=1e-5)


def test_a_rescaling_has_one_value_or_one_per_channel():
    with pytest.raises(ModelError, match="n0: offset has 3 values; its input has 2 channels"):
        _ = chain((1, 1, 2), ("Rescaling", {"scale": 1.0, "offset": (1.0, 2.0, 3.0)})).shapes


def test_a_batch_norm_over_a_spatial_axis_is_refused():
    with pytest.raises(ModelError, match="n0: BatchNormalization over axis 1"):
        forward(chain((4, 4, 2), ("BatchNormalization", {"axis": 1})), normal(1, 4, 4, 2))
