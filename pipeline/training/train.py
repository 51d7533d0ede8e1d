"""Train a graph's weights in Keras, reproducible to the bit for the same seed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.data import Images, choose
from pipeline.errors import DataError
from pipeline.graph.graph import Graph
from pipeline.graph.keras_io import from_keras_weights, to_keras
from pipeline.graph.logits import before_probabilities
from pipeline.progress import Progress
from pipeline.quiet_tensorflow import quiet_tensorflow
from pipeline.training.image_reader import numbers, reading
from pipeline.training.losses import centred, fit_targets, training_loss, tuning_loss

History = dict[str, list[float]]
KEPT_BACK = 0.1
SHORTEST_MOMENTUM = 0.9
MEMORY_SHARE = 50
"""Moving statistics average over at most a fiftieth of all steps."""


def train(
    graph: Graph,
    x_train: Images,
    y_train: np.ndarray,
    x_val: Images | None = None,
    y_val: np.ndarray | None = None,
    options: Any = None,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[Graph, History]:
    """Return `graph` with trained weights, and the training history.

    Integer labels train a classifier (cross-entropy; labels 0 and 1 where the model has one
    output), float labels a regression (``regression_loss``). The weights of the last epoch are
    kept; with ``patience`` those of the epoch that was best on a tenth of the training images,
    which is held out and replaces the validation images.

    Parameters
    ----------
    graph : Graph
        Its weights are the starting point.
    x_train, x_val : array of shape (n, height, width, channels)
        Images, in the dtype of the graph's input; read batch by batch where they are
        `StoredImages`, with the same result.
    y_train, y_val : array of shape (n,), or of the model's output for a regression
    options : pipeline.config.Training
    seed : int
        For the order of images, dropout, and the choice of held-out images.
    progress : Progress, optional

    Returns
    -------
    Graph
    dict of str to list of float
        ``loss`` and ``accuracy`` (or ``mean_absolute_error``) for each epoch; with
        validation images also as ``val_<name>``.

    Raises
    ------
    DataError
        When images or labels do not fit the model.
    """
    y_train = fit_targets(graph, x_train, y_train, "training")
    if options.patience is not None:
        (x_train, y_train), (x_val, y_val) = _keep_back(x_train, y_train, seed)
    if x_val is not None:
        y_val = fit_targets(graph, x_val, y_val, "validation")
    if options.epochs == 0:
        return graph, {}

    keras, _ = _seeded(seed)
    steps = options.epochs * -(-len(x_train) // options.batch_size)
    start = centred(graph, y_train)
    model = to_keras(with_momentum(start, options.batchnorm_momentum, steps))
    loss, metric = training_loss(keras, graph, y_train, options.regression_loss)
    sets = [x_train] if x_val is None else [x_train, x_val]
    fed, (train_numbers, *val_numbers) = reading(model, sets), numbers(sets)
    # Compilation by XLA would cost more seconds than these small models train.
    fed.compile(_optimizer(keras, options, steps), loss, metrics=[metric], jit_compile=False)
    callbacks = []
    if options.patience is not None:
        watched = "val_accuracy" if metric.name == "accuracy" else f"val_{metric.name}"
        stop = keras.callbacks.EarlyStopping(
            monitor=watched,
            mode="max" if metric.name == "accuracy" else "min",
            patience=options.patience,
            restore_best_weights=True,
        )
        callbacks.append(stop)
    if progress:

        def report(epoch, logs):
            progress(epoch + 1, options.epochs, {k: float(v) for k, v in logs.items()})

        callbacks.append(keras.callbacks.LambdaCallback(on_epoch_end=report))
    course = fed.fit(
        train_numbers,
        y_train,
        batch_size=options.batch_size,
        epochs=options.epochs,
        validation_data=(*val_numbers, y_val) if val_numbers else None,
        validation_batch_size=256,
        verbose=0,
        callbacks=callbacks,
    )
    history = {key: [float(value) for value in values] for key, values in course.history.items()}
    keras.backend.clear_session()
    return from_keras_weights(graph, model), history


def tune(
    graph: Graph,
    images: Images,
    targets: np.ndarray,
    options: Any,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[Graph, History]:
    """Return `graph` trained further with its batch norms and dropouts in inference mode.

    Parameters
    ----------
    graph : Graph
    images : array of shape (n, height, width, channels)
    targets : array
        Integers of shape (n,): labels (cross-entropy). Floats of the output's shape: logits of
        another model (Kullback-Leibler divergence at ``options.temperature``; mean squared error
        where the model has one output).
    options : object with ``epochs, batch_size, optimizer, learning_rate, schedule, temperature``
    seed : int
        Of the order of images.
    progress : Progress, optional

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
    targets = fit_targets(graph, images, targets, "tuning")
    if options.epochs == 0:
        return graph, {"loss": []}
    keras, tf = _seeded(seed)
    trunk = before_probabilities(graph)
    model = to_keras(trunk)
    batches = -(-len(images) // options.batch_size)
    optimizer = _optimizer(keras, options, options.epochs * batches)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(batch, wanted):
        with tf.GradientTape() as tape:
            loss = tuning_loss(keras, tf, wanted, model(batch, training=False), options)
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
        if progress:
            progress(len(history), options.epochs, {"loss": history[-1]})
    tuned = from_keras_weights(trunk, model)
    weights = {node.name: node for node in tuned.nodes}
    keras.backend.clear_session()
    return graph.with_nodes(weights.get(node.name, node) for node in graph.nodes), {"loss": history}


def with_momentum(graph: Graph, momentum: float | None, steps: int) -> Graph:
    """Return `graph` with batch norm momentum that suits the length of the training.

    Parameters
    ----------
    graph : Graph
    momentum : float or None
        For all batch norms; None lowers the model's own where `steps` are too few: Keras' default
        of 0.99 needs hundreds of steps to forget its initial values.
    steps : int
        Total number of weight updates.
    """
    longest = max(SHORTEST_MOMENTUM, 1 - MEMORY_SHARE / max(steps, 1))
    nodes = []
    for node in graph.nodes:
        if node.op == "BatchNormalization":
            found = min(node.attrs["momentum"], longest) if momentum is None else momentum
            node = replace(node, attrs={**node.attrs, "momentum": found})
        nodes.append(node)
    return graph.with_nodes(nodes)


def _seeded(seed):
    """Import Keras and TensorFlow, and seed the next training."""
    with quiet_tensorflow():
        import keras
        import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    return keras, tf


def _keep_back(images, labels, seed):
    """Split the training images in two: to train on, and to decide when to stop."""
    count = max(round(KEPT_BACK * len(images)), 1)
    if count >= len(images):
        raise DataError(f"training.patience: {len(images)} images are too few to hold some out")
    order = np.random.default_rng(seed).permutation(len(images))
    return tuple((choose(images, part), labels[part]) for part in (order[count:], order[:count]))


def _optimizer(keras, options, steps):
    rate = options.learning_rate
    if options.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, steps)
    if options.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=0.9)
    return keras.optimizers.Adam(rate)
