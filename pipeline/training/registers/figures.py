"""How good an integer model is on held-out images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.training.registers.goal import CHANCES, CLASSES
from simulator.classes import classify


@dataclass(frozen=True)
class Figures:
    """Figures on held-out images.

    Attributes
    ----------
    loss : float
        Mean loss.
    same, right : float or None
        Share of images with the float model's class, and with the labels'; None where outputs are
        not one choice, or there are no labels.
    """

    loss: float
    same: float | None = None
    right: float | None = None

    def __str__(self):
        shares = (("same class", self.same), ("accuracy", self.right))
        named = (f", {name} {share:.1%}" for name, share in shares if share is not None)
        return f"{self.loss:.4f}{''.join(named)}"


def figures(course, held) -> Figures:
    """Return the figures of a model in training.

    Parameters
    ----------
    course : Course
    held : Lessons
    """
    found, goal = course.outputs(held.images), course.goal
    loss = float(np.mean(goal.losses(found, held.wanted, held.labels), dtype=np.float64))
    if goal.kind not in (CLASSES, CHANCES) or max(found.shape[1:]) != found[0].size:
        return Figures(loss)
    classes, labels = classify(found), held.labels.reshape(len(found), -1)
    right = float(np.mean(classes == labels[:, 0])) if labels.size else None
    return Figures(loss, float(np.mean(classes == classify(held.wanted))), right)
