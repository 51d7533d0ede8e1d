"""What training aims at: labels in the form that a loss takes, and the losses."""

from __future__ import annotations

import numpy as np

from pipeline.data.labels import check_labels
from pipeline.errors import DataError
from pipeline.graph.logits import class_threshold, final_activation, has_one_output
from simulator.image_advice import shape_advice


def fit_targets(graph, images, labels, role):
    """Return the labels in the shape that the loss wants, or refuse them.

    Parameters
    ----------
    graph : Graph
    images : Images
    labels : array
        Whole numbers are classes; floats are numbers to estimate, or another model's outputs.
    role : str
        Of images and labels, for messages.

    Returns
    -------
    int64 array of shape (n, ...) without the axis of classes; with one output of shape
    (n, *output). float32 array of shape (n, *output) for floats.

    Raises
    ------
    DataError
        When images or labels do not fit the model.
    """
    shape, dtype = graph.input.attrs["shape"], graph.input.attrs["dtype"]
    if len(images) == 0 or images.shape[1:] != tuple(shape) or images.dtype != dtype:
        raise DataError(
            f"{role} images: found {images.dtype} of shape {images.shape}; model {graph.name}"
            f" takes {dtype} of shape (n, {', '.join(map(str, shape))})"
            f"{shape_advice(images.shape, shape)}"
        )
    if len(labels) != len(images):
        raise DataError(
            f"{role} labels: found {len(labels)} for {len(images)} images; allowed: one for each"
        )
    output = graph.shapes[graph.output]
    if np.issubdtype(labels.dtype, np.floating):
        if labels.size != len(images) * np.prod(output):
            raise DataError(
                f"{role} labels: found {labels.dtype} of shape {labels.shape}, numbers to estimate;"
                f" model {graph.name} gives {output} for each; classes must be whole numbers"
                " (labels.astype('int64'))"
            )
        return labels.astype(np.float32).reshape(-1, *output)
    if np.prod(output[:-1]) > 1:
        raise DataError(
            f"{role} labels: found {labels.dtype} of shape {labels.shape}; model {graph.name} gives"
            f" maps of shape {output}, which are learned from floats of that shape"
        )
    labels = check_labels(
        labels, name=f"{role} labels", images=len(images), outputs=int(np.prod(output))
    )
    if has_one_output(graph):
        return labels.reshape(-1, *output)
    return labels.reshape(-1, *output[:-1])


def centred(graph, targets):
    """Return `graph` that starts from the middle of the numbers it is to estimate.

    A fresh bias of zero would have to creep there, by a learning rate's length in each step.
    """
    last = graph.node(graph.output)
    bias = last.weights.get("bias")
    if not np.issubdtype(targets.dtype, np.floating) or bias is None or bias.any():
        return graph
    middle = np.median(targets.reshape(-1, targets.shape[-1]), axis=0).astype(np.float32)
    centred = last.with_weights(bias=middle)
    return graph.with_nodes(centred if node is last else node for node in graph.nodes)


def training_loss(keras, graph, labels, regression_loss):
    """Return the loss and the metric that the type of the labels asks for."""
    if np.issubdtype(labels.dtype, np.floating):
        losses = {"mae": keras.losses.MeanAbsoluteError, "mse": keras.losses.MeanSquaredError}
        return losses[regression_loss](), keras.metrics.MeanAbsoluteError()
    activation = final_activation(graph)
    if has_one_output(graph):
        threshold = class_threshold(graph)
        loss = keras.losses.BinaryCrossentropy(from_logits=activation != "sigmoid")
        return loss, keras.metrics.BinaryAccuracy(name="accuracy", threshold=threshold)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=activation != "softmax")
    return loss, keras.metrics.SparseCategoricalAccuracy(name="accuracy")


def tuning_loss(keras, tf, wanted, found, options):
    """Return the loss of one batch of logits `found`, towards labels or a teacher's logits."""
    if not np.issubdtype(wanted.dtype.as_numpy_dtype, np.floating):
        if found.shape[1:].num_elements() == 1:
            return tf.reduce_mean(keras.losses.binary_crossentropy(wanted, found, from_logits=True))
        losses = keras.losses.sparse_categorical_crossentropy(wanted, found, from_logits=True)
        return tf.reduce_mean(losses)
    if found.shape[-1] == 1:
        return tf.reduce_mean(tf.square(wanted - found))
    t = options.temperature
    target, student = tf.nn.softmax(wanted / t), tf.nn.log_softmax(found / t)
    divergence = tf.reduce_sum(target * (tf.nn.log_softmax(wanted / t) - student), -1)
    return tf.reduce_mean(divergence) * t**2
