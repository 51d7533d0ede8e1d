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
    with pytest.raises(ModelError, match="n0: interpolation 'bicubic'"):
        forward(
            chain((4, 4, 2), ("UpSampling2D", {"interpolation": "bicubic"})), normal(1, 4, 4, 2)
        )


@pytest.mark.parametrize("size", [1, 2, 3, (2, 1), (1, 4)])
def test_bilinear_interpolation_is_that_of_positions(size):
    graph = chain((4, 3, 2), ("UpSampling2D", {"interpolation": "bilinear", "size": size}))
    x = normal(2, 4, 3, 2)
    factors = (size, size) if isinstance(size, int) else size
    found = forward(graph, x)
    for row in range(4 * factors[0]):
        for column in range(3 * factors[1]):
            wanted = 0
            place = [(n + 0.5) / f - 0.5 for n, f in zip((row, column), factors, strict=True)]
            for i in range(4):
                for j in range(3):
                    near = [min(max(p, 0), n - 1) for p, n in zip(place, (4, 3), strict=True)]
                    share = max(0, 1 - abs(near[0] - i)) * max(0, 1 - abs(near[1] - j))
                    wanted = wanted + share * x[:, i, j]
            np.testing.assert_allclose(found[:, row, column], wanted, rtol=1e-5, atol=1e-5)


def test_a_cropping_leaves_the_middle():
    crop = ("Cropping2D", {"cropping": ((1, 2), (0, 1))})
    x = normal(2, 6, 4, 2)
    np.testing.assert_array_equal(forward(chain((6, 4, 2), crop), x), x[:, 1:4, :3])
    with pytest.raises(ModelError, match="n0: it cuts"):
        _ = chain((3, 4, 2), crop).shapes
