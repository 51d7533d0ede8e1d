import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.graph.forward import forward
from tests.pipeline.graph.chains import chain, normal


@pytest.mark.parametrize(
    ("op", "attrs", "expected"),
    [
        (
            "ZeroPadding2D",
            {"padding": ((1, 0), (0, 2))},
            [[0, 0, 0, 0], [1, 2, 0, 0], [3, 4, 0, 0]],
        ),
        ("UpSampling2D", {"size": (1, 2)}, [[1, 1, 2, 2], [3, 3, 4, 4]]),
        ("Permute", {"dims": (2, 1, 3)}, [[1, 3], [2, 4]]),
        ("Reshape", {"target_shape": (1, -1, 1)}, [[1, 2, 3, 4]]),
        ("Flatten", {}, [1, 2, 3, 4]),
        ("Dropout", {"rate": 0.9}, [[1, 2], [3, 4]]),
    ],
)
def test_shaping_operations_move_values(op, attrs, expected):
    graph = chain((2, 2, 1), (op, attrs))
    y = forward(graph, np.float32([1, 2, 3, 4]).reshape(1, 2, 2, 1))[0]
    assert y.shape == graph.shapes["n0"]
    assert np.squeeze(y).tolist() == np.squeeze(expected).tolist()


def test_a_reshape_keeps_the_number_of_values():
    for target in ((5,), (-1, 3)):
        with pytest.raises(ModelError, match="n0: cannot reshape"):
            _ = chain((2, 2, 1), ("Reshape", {"target_shape": target})).shapes


def test_a_permutation_lists_all_axes():
    with pytest.raises(ModelError, match=r"n0: dims are \(2, 1\); its input has 3 axes"):
        _ = chain((2, 2, 1), ("Permute", {"dims": (2, 1)})).shapes


def test_other_interpolations_are_refused():
    with pytest.raises(ModelError, match="n0: interpolation 'bilinear'"):
        forward(
            chain((4, 4, 2), ("UpSampling2D", {"interpolation": "bilinear"})), normal(1, 4, 4, 2)
        )
