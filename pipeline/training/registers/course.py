"""The course of a training in registers: epochs, and the best of them on held-out images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from pipeline.data import Images
from pipeline.training.registers.adam import Adam
from pipeline.training.registers.goal import Goal

BATCH = 256
"""Images at a time where nothing is trained."""


@dataclass(frozen=True, eq=False)
class Lessons:
    """Images with what a model should output for them.

    Attributes
    ----------
    images : array or StoredImages of shape (n, *input shape)
    wanted : float32 array of shape (n, *output)
        The float model's outputs.
    labels : array of shape (n, ...)
        All 0 where none are given.
    """

    images: Images
    wanted: np.ndarray
    labels: np.ndarray

    def batch(self, rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return images, outputs and labels of some rows."""
        return self.images[rows], self.wanted[rows], self.labels[rows]


class Course:
    """A model's training.

    Parameters
    ----------
    model : QuantizemlModel or Cnn2snnModel
    goal : Goal
    enter : function
        From images to what the model's graph takes.

    Attributes
    ----------
    history : dict of str to list of float
        ``loss`` and ``held_out_loss`` of each epoch.
    """

    def __init__(self, model, goal: Goal, enter: Callable[[np.ndarray], np.ndarray]):
        self.model, self.goal, self.enter = model, goal, enter
        self.latents = list(model.latents.values())
        self.history: dict[str, list[float]] = {"loss": [], "held_out_loss": []}
        image = tf.TensorSpec((None, *model.entry.shape), tf.float32)
        self._outputs = tf.function(model.outputs, input_signature=[image], autograph=False)

    def run(self, lessons: Lessons, held: Lessons, epochs: int, options, progress, epoch_done):
        """Train, and leave the model at its best on held-out images, which may be its start.

        Parameters
        ----------
        lessons, held : Lessons
        epochs : int
        options : Quantization
            ``training`` and ``calibration.seed``, which orders the images.
        progress, epoch_done : functions
            See `train_registers`.
        """
        count = min(options.training.batch_size, len(lessons.images))
        batches = len(lessons.images) // count
        rng = np.random.default_rng(options.calibration.seed)
        adam = Adam(self.latents, options.training.learning_rate, epochs * batches)
        step = tf.function(
            lambda *given: self._step(adam, *given), reduce_retracing=True, autograph=False
        )
        best, kept = self._held_loss(held), self._snapshot()
        for epoch in range(epochs):
            order = rng.permutation(len(lessons.images))[: batches * count].reshape(batches, -1)
            losses = []
            for number, rows in enumerate(order, epoch * batches):
                images, *targets = lessons.batch(rows)
                x = tf.constant(self.enter(images), tf.float32)
                losses.append(float(step(adam.schedule(number), x, *targets)))
                progress(number + 1, epochs * batches)
            found = {"loss": float(np.mean(losses)), "held_out_loss": self._held_loss(held)}
            for name, value in found.items():
                self.history[name].append(value)
            epoch_done(epoch + 1, epochs, found)
            if found["held_out_loss"] < best:
                best, kept = found["held_out_loss"], self._snapshot()
        for latent, value in zip(self.latents, kept, strict=True):
            latent.variable.assign(value)
            latent.finish()

    def outputs(self, images: Images) -> np.ndarray:
        """Return the float outputs of the model as it is."""
        starts = range(0, len(images), BATCH)
        parts = (self.enter(images[start : start + BATCH]) for start in starts)
        return np.concatenate([self._outputs(tf.constant(x, tf.float32)).numpy() for x in parts])

    def _held_loss(self, held: Lessons) -> float:
        """Return the mean loss on held-out images."""
        losses = self.goal.losses(self.outputs(held.images), held.wanted, held.labels)
        return float(np.mean(losses, dtype=np.float64))

    def _step(self, adam: Adam, schedule, x, wanted, labels) -> tf.Tensor:
        variables = [latent.variable for latent in self.latents]
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(self.goal.losses(self.model.outputs(x), wanted, labels))
        gradients = tape.gradient(loss, variables, unconnected_gradients="zero")
        adam.apply(gradients, schedule)
        return loss

    def _snapshot(self) -> list[np.ndarray]:
        return [latent.variable.numpy() for latent in self.latents]
