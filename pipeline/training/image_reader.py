"""Feed Keras batches of images read on demand, instead of one array in its memory."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from pipeline.data import Images


def reading(model, sets: Sequence[Images]):
    """Wrap `model` in a Keras model that takes image indices and reads the images itself.

    Keras copies its input arrays into TensorFlow's memory. Indices are small; their images are
    read, from memory or a file, when their batch is due. Nothing else changes: weights are
    shared, and Keras shuffles indices as it shuffles images.

    Parameters
    ----------
    model : keras.Model
        Takes images.
    sets : sequence of Images
        Indexed consecutively, each set starting where the previous one ends. All indices of a
        batch belong to one set.

    Returns
    -------
    keras.Model
        Takes int64 indices of shape (n,).
    """
    import keras
    import tensorflow as tf

    starts = np.cumsum([0, *(len(images) for images in sets)])
    shape, dtype = sets[0].shape[1:], sets[0].dtype

    def read(numbers: np.ndarray) -> np.ndarray:
        part = int(np.searchsorted(starts, numbers[0], side="right")) - 1
        return sets[part][numbers - starts[part]]

    class Reader(keras.layers.Layer):
        """Look up images by index."""

        def call(self, numbers):
            images = tf.numpy_function(read, [numbers], dtype, stateful=False)
            return tf.ensure_shape(images, (None, *shape))

        def compute_output_spec(self, numbers):
            return keras.KerasTensor((numbers.shape[0], *shape), dtype=str(dtype))

    numbers = keras.Input((), dtype="int64", name="numbers")
    return keras.Model(numbers, model(Reader(name="reader")(numbers)), name=model.name)


def numbers(sets: Sequence[Images]) -> list[np.ndarray]:
    """Return the int64 indices of the images of each set, in order."""
    starts = np.cumsum([0, *(len(images) for images in sets)])
    return [np.arange(start, stop) for start, stop in pairwise(starts)]
