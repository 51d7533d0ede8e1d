"""How a training tells of its epochs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

Progress = Callable[[int, int, Mapping[str, float]], None]
"""Called after each epoch as ``progress(epoch, epochs, metrics)``; epochs count from 1."""


def epoch_line(epoch: int, epochs: int, metrics: Mapping[str, float]) -> str:
    """Return an epoch as a line to read."""
    figures = " ".join(f"{name} {value:.4f}" for name, value in metrics.items())
    return f"epoch {epoch}/{epochs} {figures}"
