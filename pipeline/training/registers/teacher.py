"""The float model's outputs, which a training in registers aims at."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from pipeline.data import Images
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.graph.keras_io import to_keras

BATCH = 256


def teacher_outputs(teacher: Graph, images: Images) -> np.ndarray:
    """Return a float model's outputs, float32 (n, *output).

    TensorFlow is several times as fast as `forward`, which computes what Keras has no layer for.
    """
    if not all(node.operation.can_build_keras(node.attrs) for node in teacher.nodes):
        return forward(teacher, images, batch_size=BATCH)
    model = to_keras(teacher)
    call = tf.function(lambda batch: model(batch, training=False), reduce_retracing=True)
    starts = range(0, len(images), BATCH)
    return np.concatenate([call(images[start : start + BATCH]).numpy() for start in starts])
