import numpy as np

from pipeline.graph.forward import forward
from tests.pipeline.graph.chains import chain, normal


def test_max_pool_ignores_its_padding():
    graph = chain((3, 3, 1), ("MaxPooling2D", {"padding": "same"}))
    x = -np.arange(1, 10, dtype=np.float32).reshape(1, 3, 3, 1)
    assert forward(graph, x).ravel().tolist() == [-1, -3, -7, -9]


def test_average_pool_counts_image_pixels_only():
    graph = chain((3, 3, 1), ("AveragePooling2D", {"padding": "same"}))
    x = np.arange(9, dtype=np.float32).reshape(1, 3, 3, 1)
    assert forward(graph, x).ravel().tolist() == [2, 3.5, 6.5, 8]


def test_global_average_keeps_dimensions_on_demand():
    x = normal(2, 3, 4, 2)
    for keepdims, shape in ((True, (2, 1, 1, 2)), (False, (2, 2))):
        y = forward(chain((3, 4, 2), ("GlobalAveragePooling2D", {"keepdims": keepdims})), x)
        assert y.shape == shape
        np.testing.assert_allclose(y.reshape(2, 2), x.mean((1, 2)), rtol=1e-6)
