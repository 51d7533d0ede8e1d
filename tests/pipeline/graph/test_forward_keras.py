"""NumPy evaluation compared with Keras 3, layer by layer."""

import numpy as np
import pytest

from pipeline.graph.forward import forward
from tests.pipeline.graph.chains import chain, normal

pytestmark = pytest.mark.slow

CONV = {"filters": 5, "kernel_size": 3, "padding": "same"}
LAYERS = [
    ("Rescaling", {"scale": (0.1, 0.2, 0.3, 0.4), "offset": (1.0, 2.0, 3.0, 4.0)}),
    ("Conv2D", {**CONV, "strides": 2}),
    ("Conv2D", {**CONV, "padding": "valid", "kernel_size": (2, 3)}),
    ("Conv2D", {**CONV, "dilation_rate": 2}),
    ("Conv2D", {**CONV, "filters": 6, "groups": 2}),
    ("DepthwiseConv2D", {"kernel_size": 3, "strides": 2, "padding": "same"}),
    ("DepthwiseConv2D", {"kernel_size": 3, "depth_multiplier": 2, "dilation_rate": 2}),
    ("SeparableConv2D", {**CONV, "strides": 2, "depth_multiplier": 2}),
    *(
        ("Conv2DTranspose", {"filters": 3, "kernel_size": k, "strides": s, "padding": p})
        for k, s, p in ((3, 2, "same"), (4, 2, "same"), (2, 3, "valid"), (3, 2, "valid"))
    ),
    *(
        ("DepthwiseConv2DTranspose", {"kernel_size": k, "strides": s, "padding": p})
        for k, s, p in ((3, 2, "same"), (4, 2, "same"), (2, 3, "valid"), ((3, 5), 2, "valid"))
    ),
    ("Dense", {"units": 6}),
    ("BatchNormalization", {}),
    ("BatchNormalization", {"center": False, "scale": False, "epsilon": 0.01}),
    ("ReLU", {"max_value": 1.0, "negative_slope": 0.2, "threshold": 0.1}),
    ("LeakyReLU", {"negative_slope": 0.2}),
    ("PReLU", {"shared_axes": (1, 2)}),
    *(
        ("Activation", {"activation": kind})
        for kind in ("softmax", "sigmoid", "tanh", "gelu", "swish", "hard_silu", "linear")
    ),
    ("Activation", {"activation": "leaky_relu", "alpha": 0.2}),
    ("Softmax", {}),
    ("MaxPooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}),
    ("MaxPooling2D", {"pool_size": (2, 1)}),
    ("AveragePooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}),
    ("GlobalAveragePooling2D", {"keepdims": True}),
    ("ZeroPadding2D", {"padding": ((0, 1), (2, 3))}),
    ("UpSampling2D", {"size": (2, 3)}),
    ("Flatten", {}),
    ("Reshape", {"target_shape": (-1, 8)}),
    ("Permute", {"dims": (3, 1, 2)}),
    ("Dropout", {"rate": 0.5}),
]


@pytest.fixture(scope="module")
def to_keras():
    pytest.importorskip("keras")
    from pipeline.graph.keras_io import to_keras

    return to_keras


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: f"{layer[0]}-{layer[1]}")
def test_layer_equals_keras(to_keras, layer):
    graph = chain((7, 8, 4), layer)
    x = normal(3, 7, 8, 4)
    expected = np.asarray(to_keras(graph)(x, training=False))
    # Sums of up to 72 products of normal numbers, in another order: some 1e-6 each.
    np.testing.assert_allclose(forward(graph, x), expected, rtol=1e-5, atol=2e-5)
