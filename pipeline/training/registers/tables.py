"""Look-up tables in TensorFlow, with the slope between neighbouring entries as gradient."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def look_up(index: tf.Tensor, table: np.ndarray) -> tf.Tensor:
    """Return the entries of a table, float64.

    Parameters
    ----------
    index : float tensor
        Whole numbers from ``-len(table) / 2`` to ``len(table) / 2 - 1``.
    table : int16 array
        From the entry of the smallest index to that of the largest.
    """
    entries = tf.constant(table, tf.float64)
    slopes = tf.constant(np.gradient(table.astype(np.float64)), tf.float64)

    @tf.custom_gradient
    def looked_up(index):
        place = tf.cast(index, tf.int32) + len(table) // 2
        return tf.gather(entries, place), lambda upper: upper * tf.gather(slopes, place)

    return looked_up(tf.cast(index, tf.float64))
