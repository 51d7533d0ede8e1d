"""Let Keras train on images that are read batch by batch, instead of held in its memory whole."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from pipeline.data import Images


def reading(model, sets: Sequence[Images]):
    """Return a Keras model that takes numbers of images, and reads the images for `model`.

    Keras copies the arrays that it is given into TensorFlow's memory. Numbers are small; their
    images are read, from memory or from a file, when their batch is due. Nothing else changes: the
    weights are shared, and Keras shuffles numbers as it shuffles images.

    Parameters
    ----------
    model : keras.Model
        Takes images.
    sets : sequence of Images
        Numbered one after the other, each set from where the one before ends. All numbers of a
        batch belong to one set.

    Returns
    -------
    keras.Model
        Takes int64 numbers of shape (n,).
    """
    import keras
    import tensorflow as tf

    starts = np.cumsum([0, *(len(images) for images in sets)])
    shape, dtype = sets[0].shape[1:], sets[0].dtype

    def read(numbers: np.ndarray) -> np.ndarray:
        part = int(np.searchsorted(starts, numbers[0], side="right")) - 1
        return sets[part][numbers - starts[part]]

    class Reader(keras.layers.Layer):
        """Images by their numbers."""

        def call(self, numbers):
            images = tf.numpy_function(read, [numbers], dtype, stateful=False)
            return tf.ensure_shape(images, (None, *shape))

        def compute_output_spec(self, numbers):
            return keras.KerasTensor((numbers.shape[0], *shape), dtype=str(dtype))

    numbers = keras.Input((), dtype="int64", name="numbers")
    return keras.Model(numbers, model(Reader(name="reader")(numbers)), name=model.name)


def numbers(sets: Sequence[Images]) -> list[np.ndarray]:
    """Return the numbers of the images of each set, int64, in order."""
    starts = np.cumsum([0, *(len(images) for images in sets)])
    return [np.arange(start, stop) for start, stop in pairwise(starts)]
