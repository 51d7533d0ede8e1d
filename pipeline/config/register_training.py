"""Section ``quantization.training``."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.config.fields import number


@dataclass(frozen=True, kw_only=True)
class RegisterTraining:
    """How registers are trained where ``train`` is not ``none``.

    Attributes
    ----------
    samples : int
        Training images at most, a fifth of which is held out (1,000 at most).
    epochs : int or None
        None takes 5 to 40, the more the fewer images.
    batch_size : int
        Images per step.
    learning_rate : float
        Of weights and biases, in units of an integer; it falls along half a cosine. Scales learn
        at a tenth of it.
    """

    samples: int = number(15000, 1)
    epochs: int | None = number(None, 1)
    batch_size: int = number(64, 1)
    learning_rate: float = number(0.01, above=0)
