"""Adam on latents, with rates that fall along half a cosine."""

from __future__ import annotations

import math
from collections.abc import Sequence

import tensorflow as tf

from pipeline.training.registers.latents import Latent

DECAYS = (0.9, 0.999)
EPSILON = 1e-7


class Adam:
    """The optimiser's state.

    Parameters
    ----------
    latents : sequence of Latent
    rate : float
        Of weights and biases at the start.
    steps : int
        After which it is 0.
    """

    def __init__(self, latents: Sequence[Latent], rate: float, steps: int):
        self.latents, self.rate, self.steps = latents, rate, steps
        self.means, self.squares = (
            [tf.Variable(tf.zeros_like(latent.variable)) for latent in latents] for _ in range(2)
        )

    def schedule(self, step: int) -> tf.Tensor:
        """Return the rate of a step, and the powers of both decays, float32 (3,)."""
        rate = self.rate * (1 + math.cos(math.pi * step / self.steps)) / 2
        return tf.constant([rate, *(decay ** (step + 1) for decay in DECAYS)], tf.float32)

    def apply(self, gradients: Sequence[tf.Tensor], schedule: tf.Tensor) -> None:
        """Move every latent, and bring it back into its range."""
        rate, *powers = tf.unstack(schedule)
        for latent, gradient, mean, square in zip(
            self.latents, gradients, self.means, self.squares, strict=True
        ):
            tf.raw_ops.ResourceApplyAdam(
                var=latent.variable.handle,
                m=mean.handle,
                v=square.handle,
                beta1_power=powers[0],
                beta2_power=powers[1],
                lr=rate * latent.pace,
                beta1=DECAYS[0],
                beta2=DECAYS[1],
                epsilon=EPSILON,
                grad=gradient,
            )
            latent.settle()
