"""Labels that cannot be classes are refused with advice."""

import numpy as np
import pytest

from pipeline.data import Dataset
from pipeline.data.labels import check_labels
from pipeline.errors import DataError


def refusal(labels, outputs, images=None):
    with pytest.raises(DataError) as caught:
        check_labels(labels, name="y.npy", images=images or len(labels), outputs=outputs)
    return str(caught.value)


@pytest.mark.parametrize(
    ("labels", "outputs", "texts"),
    [
        ([255, 256, 257], 3, ("from 255 to 257", "allowed: 0 to 2", "3 outputs", "labels - 255")),
        ([1, 2, 3], 3, ("from 1 to 3", "allowed: 0 to 2", "labels - 1")),
        ([-1, 0, 1], 3, ("from -1 to 1", "labels + 1")),
        ([-1, 1, 1], 1, ("from -1 to 1", "allowed: 0 to 1", "one output", "np.unique")),
        ([0, 1, 2], 1, ("from 0 to 2", "allowed: 0 to 1", "labels.astype('float32')")),
        ([0, 7, 40], 3, ("from 0 to 40", "np.unique")),
        ([0, 1, 2, 3], 3, ("from 0 to 3", "labels of as many classes")),
    ],
)
def test_labels_out_of_range(labels, outputs, texts):
    message = refusal(np.array(labels), outputs)
    assert message.startswith("y.npy: found labels") and len(message) < 200
    for text in texts:
        assert text in message


@pytest.mark.parametrize(
    ("labels", "images", "text"),
    [
        (np.eye(3, dtype=np.int64), 3, "labels.argmax(axis=1)"),
        (np.eye(3, dtype=np.float32), 3, "labels.argmax(axis=1)"),
        (np.zeros((4, 1), int), 4, "labels[:, 0]"),
        (np.array([0.0, 1.0]), 2, "labels.astype('int64')"),
        (np.array([0.5, 1.0]), 2, "floats are numbers, not classes"),
        (np.array([np.nan, 1.0]), 2, "floats are numbers, not classes"),
        (np.array(["a", "b"]), 2, "one whole number for each of the 2 images"),
        (np.zeros(3, int), 4, "one whole number for each of the 4 images"),
        (np.zeros((4, 2, 2), int), 4, "one whole number for each of the 4 images"),
        (np.int64(1), 4, "one whole number for each of the 4 images"),
    ],
)
def test_labels_of_another_form(labels, images, text):
    assert text in refusal(labels, 3, images)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int8, np.int64, np.uint64])
@pytest.mark.parametrize("outputs", [1, 2, 5])
def test_good_labels_become_int64(dtype, outputs):
    found = check_labels(np.array([0, 1, 1], dtype), name="y", images=3, outputs=outputs)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, [0, 1, 1])


def dataset(labels, classes=("a", "b", "c")):
    images = np.zeros((len(labels), 2, 2, 1), np.uint8)
    parts = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    return Dataset(name="mine", source="", licence="", classes=classes, **parts)


@pytest.mark.parametrize(
    ("labels", "classes", "text"),
    [
        (np.array([1, 2, 3]), ("a", "b", "c"), "allowed: 0 to 2"),
        (np.array([-1, 0]), ("a", "b", "c"), "y_test: found labels from -1 to 0"),
        (np.eye(3, dtype=int), ("a", "b", "c"), "argmax"),
        (np.eye(3, dtype=np.float32), (), "argmax"),
    ],
)
def test_data_sets_refuse_them_too(labels, classes, text):
    with pytest.raises(DataError, match=r"mine: .*") as caught:
        dataset(labels, classes)
    assert text in str(caught.value)


def test_a_spare_output_has_its_number_as_name():
    data = dataset(np.array([0, 1, 2]))
    assert [data.class_name(label) for label in (0, 2, 3)] == ["a", "c", "3"]
