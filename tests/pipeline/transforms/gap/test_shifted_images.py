import numpy as np
import pytest

from pipeline.transforms.gap.shifted_images import ShiftedImages


def test_each_image_is_followed_by_its_copies():
    images = np.random.default_rng(0).integers(0, 256, (7, 4, 5, 2), np.uint8)
    more = ShiftedImages(images)
    assert more.shape == (35, 4, 5, 2) and len(more) == 35
    assert (more.dtype, more.ndim) == (np.uint8, 4)
    whole = more[:]
    np.testing.assert_array_equal(whole[::5], images)
    for copy, (axis, way) in enumerate([(1, 1), (1, -1), (2, 1), (2, -1)], 1):
        rolled = np.roll(images, way, axis)
        edge = 0 if way > 0 else -1
        rolled.swapaxes(0, axis)[edge] = images.swapaxes(0, axis)[edge]
        np.testing.assert_array_equal(whole[copy::5], rolled)


@pytest.mark.parametrize(("start", "stop"), [(0, 5), (3, 4), (3, 17), (10, 99), (6, 6)])
def test_slices_equal_those_of_the_array(start, stop):
    more = ShiftedImages(np.arange(2 * 3 * 3 * 1).reshape(2, 3, 3, 1))
    np.testing.assert_array_equal(more[start:stop], more[:][start:stop])
    np.testing.assert_array_equal(more[[7, 0, 3, 7]], more[:][[7, 0, 3, 7]])


def test_axes_of_one_pixel_are_not_shifted():
    assert ShiftedImages(np.zeros((4, 9, 1, 3))).shape == (12, 9, 1, 3)
    assert ShiftedImages(np.zeros((4, 6))).shape == (4, 6)
