"""Train a graph's weights in Keras, the same to the last bit for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pipeline.errors import DataError
from pipeline.graph.graph import Graph
from pipeline.graph.keras_io import from_keras_weights, to_keras
from pipeline.native_notices import notices_hidden

History = dict[str, list[float]]


def train(
    graph: Graph,
    x_train: np.ndarray,
    y_train: np.ndarray,
    x_val: np.ndarray | None = None,
    y_val: np.ndarray | None = None,
    options: Any = None,
    *,
    seed: int = 0,
    progress: Callable[[int, int, Mapping[str, float]], None] | None = None,
) -> tuple[Graph, History]:
    """Return `graph` with trained weights, and the course of the training.

    Integer labels train a classifier (cross-entropy), float labels a regression (mean squared
    error). The weights of the last epoch are kept.

    Parameters
    ----------
    graph : Graph
        Its weights are the starting point.
    x_train, x_val : array of shape (n, height, width, channels)
        Images, in the dtype of the graph's input.
    y_train, y_val : array of shape (n,), or of the model's output for a regression
    options : object with ``epochs, batch_size, optimizer, learning_rate, schedule``
        Such as the configuration's section ``training``.
    seed : int
        Of the order of images and of dropout.
    progress : function of (epoch, epochs, metrics)
        Called after each epoch; epochs count from 1.

    Returns
    -------
    Graph
    dict of str to list of float
        ``loss`` and ``accuracy`` (or ``mean_absolute_error``) for each epoch, and the same with
        ``val_`` in front when there are validation images.

    Raises
    ------
    DataError
        When images or labels do not fit the model.
    """
    y_train = _targets(graph, x_train, y_train, "training")
    validation = None
    if x_val is not None:
        validation = (x_val, _targets(graph, x_val, y_val, "validation"))
    if options.epochs == 0:
        return graph, {}

    with notices_hidden():
        import keras
        import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    model = to_keras(graph)
    steps = options.epochs * -(-len(x_train) // options.batch_size)
    loss, metric = _loss(keras, graph, y_train)
    # Compilation by XLA would cost more seconds than these small models train.
    model.compile(_optimizer(keras, options, steps), loss, metrics=[metric], jit_compile=False)
    callbacks = []
    if progress:

        def report(epoch, logs):
            progress(epoch + 1, options.epochs, {k: float(v) for k, v in logs.items()})

        callbacks.append(keras.callbacks.LambdaCallback(on_epoch_end=report))
    course = model.fit(
        x_train,
        y_train,
        batch_size=options.batch_size,
        epochs=options.epochs,
        validation_data=validation,
        validation_batch_size=256,
        verbose=0,
        callbacks=callbacks,
    )
    history = {key: [float(value) for value in values] for key, values in course.history.items()}
    keras.backend.clear_session()
    return from_keras_weights(graph, model), history


def tune(
    graph: Graph,
    images: np.ndarray,
    targets: np.ndarray,
    options: Any,
    *,
    seed: int = 0,
) -> tuple[Graph, History]:
    """Return `graph` trained further with its batch norms and dropouts in inference mode.

    Parameters
    ----------
    graph : Graph
    images : array of shape (n, height, width, channels)
    targets : array
        Integers of shape (n,): labels (cross-entropy). Floats of the output's shape: what another
        model gives before its softmax (Kullback-Leibler divergence at ``options.temperature``;
        mean squared error where the model has one output).
    options : object with ``epochs, batch_size, optimizer, learning_rate, schedule, temperature``
    seed : int
        Of the order of images.

    Returns
    -------
    Graph
    dict of str to list of float
        ``loss`` for each epoch.

    Raises
    ------
    DataError
        When images or targets do not fit the model.
    """
    targets = _targets(graph, images, targets, "tuning")
    if options.epochs == 0:
        return graph, {"loss": []}
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    trunk = before_softmax(graph)
    model = to_keras(trunk)
    batches = -(-len(images) // options.batch_size)
    optimizer = _optimizer(keras, options, options.epochs * batches)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(batch, wanted):
        with tf.GradientTape() as tape:
            loss = _tuning_loss(keras, tf, wanted, model(batch, training=False), options)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    rng, history = np.random.default_rng(seed), []
    for _ in range(options.epochs):
        order = rng.permutation(len(images))
        parts = [
            order[i : i + options.batch_size] for i in range(0, len(order), options.batch_size)
        ]
        losses = [float(step(images[part], targets[part])) * len(part) for part in parts]
        history.append(sum(losses) / len(images))
    tuned = from_keras_weights(trunk, model)
    weights = {node.name: node for node in tuned.nodes}
    keras.backend.clear_session()
    return graph.with_nodes(weights.get(node.name, node) for node in graph.nodes), {"loss": history}


def before_softmax(graph: Graph) -> Graph:
    """Return `graph` without the softmax it ends in, if it does."""
    last = graph.node(graph.output)
    is_softmax = last.op == "Softmax" or last.attrs.get("activation") == "softmax"
    if not is_softmax or graph.consumers(last):
        return graph
    return graph.with_nodes((n for n in graph.nodes if n is not last), last.inputs[0])


def _tuning_loss(keras, tf, wanted, found, options):
    if not np.issubdtype(wanted.dtype.as_numpy_dtype, np.floating):
        losses = keras.losses.sparse_categorical_crossentropy(wanted, found, from_logits=True)
        return tf.reduce_mean(losses)
    if found.shape[-1] == 1:
        return tf.reduce_mean(tf.square(wanted - found))
    t = options.temperature
    target, student = tf.nn.softmax(wanted / t), tf.nn.log_softmax(found / t)
    divergence = tf.reduce_sum(target * (tf.nn.log_softmax(wanted / t) - student), -1)
    return tf.reduce_mean(divergence) * t**2


def _targets(graph, images, labels, role):
    """Return the labels in the shape that the loss wants, or refuse them."""
    shape, dtype = graph.input.attrs["shape"], graph.input.attrs["dtype"]
    if len(images) == 0 or images.shape[1:] != tuple(shape) or images.dtype != dtype:
        raise DataError(
            f"{role} images: found {images.dtype} of shape {images.shape}; model {graph.name}"
            f" takes {dtype} of shape (n, {', '.join(map(str, shape))})"
        )
    if len(labels) != len(images):
        raise DataError(f"{role} labels: found {len(labels)} for {len(images)} images")
    output = graph.shapes[graph.output]
    if np.issubdtype(labels.dtype, np.floating):
        if labels.size != len(images) * np.prod(output):
            raise DataError(f"{role} labels: found shape {labels.shape}; the model gives {output}")
        return labels.astype(np.float32).reshape(-1, *output)
    low, high = int(labels.min()), int(labels.max())
    if labels.size != len(images) or low < 0 or high >= output[-1]:
        raise DataError(
            f"{role} labels: found {labels.size} numbers from {low} to {high}; model {graph.name}"
            f" needs one for each of {len(images)} images, 0 to {output[-1] - 1}"
        )
    return labels.astype(np.int64).reshape(-1, *output[:-1])


def _loss(keras, graph, labels):
    if np.issubdtype(labels.dtype, np.floating):
        return keras.losses.MeanSquaredError(), keras.metrics.MeanAbsoluteError()
    last = graph.node(graph.output)
    is_softmax = last.op == "Softmax" or last.attrs.get("activation") == "softmax"
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=not is_softmax)
    return loss, keras.metrics.SparseCategoricalAccuracy(name="accuracy")


def _optimizer(keras, options, steps):
    rate = options.learning_rate
    if options.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, steps)
    if options.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=0.9)
    return keras.optimizers.Adam(rate)
