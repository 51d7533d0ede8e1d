"""Report the progress of a training, epoch by epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

Progress = Callable[[int, int, Mapping[str, float]], None]
"""Called after each epoch as ``progress(epoch, epochs, metrics)``; epochs count from 1."""


def epoch_line(epoch: int, epochs: int, metrics: Mapping[str, float]) -> str:
    """Format one epoch as a line of text."""
    figures = " ".join(f"{name} {value:.4f}" for name, value in metrics.items())
    return f"epoch {epoch}/{epochs} {figures}"
