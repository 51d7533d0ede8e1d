import numpy as np
import pytest

from simulator.classes import classify


@pytest.mark.parametrize("shape", [(6,), (6, 1), (6, 1, 1, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int64])
def test_one_output_is_class_1_above_the_threshold(shape, dtype):
    outputs = np.array([-3, -1, 0, 1, 2, 3], dtype).reshape(shape)
    np.testing.assert_array_equal(classify(outputs), [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(classify(outputs, 1.5), [0, 0, 0, 0, 1, 1])


def test_several_outputs_give_the_largest_and_the_first_of_equals():
    outputs = np.array([[[0, -1, -2]], [[-3, -1, -1]], [[5, 5, 5]]])
    np.testing.assert_array_equal(classify(outputs, 0.5), [0, 1, 0])
