"""The course of a training as a table for plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.files import write_csv


def write_curve(path, history: Mapping[str, Sequence[float]]) -> None:
    """Write one line per epoch; without epochs, only the header."""
    names = list(history) or ["loss", "accuracy", "val_loss", "val_accuracy"]
    rows = zip(*(history[name] for name in names), strict=True) if history else ()
    write_csv(path, ("epoch", *names), ((n, *row) for n, row in enumerate(rows, 1)))
