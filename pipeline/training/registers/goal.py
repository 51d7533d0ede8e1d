"""What training in registers aims at: the float model's outputs, or half of that and labels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

CLASSES, CHANCES, VALUES = "classes", "chances", "values"
"""Outputs: logits of one choice, logits of independent choices, or numbers."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A loss.

    Attributes
    ----------
    kind : {"classes", "chances", "values"}
        Divergence of the softmax, of each sigmoid, or the squared error relative to the float
        outputs' variance.
    variance : float
        Of the float outputs around each output's mean.
    with_labels : bool
        Half of the loss is that to labels.
    """

    kind: str
    variance: float = 1.0
    with_labels: bool = False

    @property
    def name(self) -> str:
        """What the loss is, in words."""
        distance = "squared error" if self.kind == VALUES else "divergence"
        return f"{distance} from the float model{' and the labels' * self.with_labels}"

    def losses(self, found: tf.Tensor, wanted: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Return the loss of each image, float32 (n,).

        Parameters
        ----------
        found, wanted : float32 tensors of shape (n, *output)
            Outputs of the integer model, which may have axes of 1 more, and of the float model.
        labels : tensor of shape (n, ...)
            Classes or numbers, as `pipeline.training.losses.fit_targets` returns them; not read
            without `with_labels`.
        """
        found = tf.reshape(found, tf.shape(wanted))
        distance = self._to_teacher(found, wanted)
        if self.with_labels:
            distance = (distance + self._to_labels(found, labels)) / 2
        return distance

    def _to_teacher(self, found, wanted):
        if self.kind == CLASSES:
            target, student = tf.nn.softmax(wanted), tf.nn.log_softmax(found)
            divergence = target * (tf.nn.log_softmax(wanted) - student)
            return _per_image(tf.reduce_sum(divergence, -1))
        if self.kind == CHANCES:
            target = tf.nn.sigmoid(wanted)
            entropies = tf.nn.sigmoid_cross_entropy_with_logits(
                target, found
            ) - tf.nn.sigmoid_cross_entropy_with_logits(target, wanted)
            return _per_image(entropies)
        return _per_image(tf.square(found - wanted) / self.variance)

    def _to_labels(self, found, labels):
        if self.kind == CLASSES:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, found)
            return _per_image(losses)
        labels = tf.cast(labels, tf.float32)
        if self.kind == CHANCES:
            return _per_image(tf.nn.sigmoid_cross_entropy_with_logits(labels, found))
        return _per_image(tf.square(found - labels) / self.variance)


def _per_image(losses: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.reshape(losses, (tf.shape(losses)[0], -1)), 1)


def kind_of_outputs(activation: str, image, output, labels: np.ndarray | None) -> str:
    """Return the kind of a model's outputs.

    Parameters
    ----------
    activation : {"softmax", "sigmoid", "linear"}
        The float model's last one.
    image, output : tuples of int
        Shapes.
    labels : array or None
        Their type decides where the activation does not; without them a vector of several numbers
        is taken for classes, unless it is as long as the image, as an autoencoder's.
    """
    size = math.prod(output)
    if labels is not None and labels.dtype.kind == "f":
        return VALUES
    if activation == "softmax" or (labels is not None and size > 1):
        return CLASSES
    if activation == "sigmoid" or labels is not None:
        return CHANCES
    vector = max(output) == size
    return CLASSES if vector and size > 1 and size != math.prod(image) else VALUES
