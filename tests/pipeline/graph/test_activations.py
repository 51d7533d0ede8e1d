import math

import numpy as np

from pipeline.graph.activations import ACTIVATIONS, erf


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
