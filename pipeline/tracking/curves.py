"""Read the CSV files of a run: training curves and tables by layer."""

from __future__ import annotations

import csv
from pathlib import Path


def read_table(path) -> dict[str, list]:
    """Return the columns of a CSV file, with numbers where a cell is one."""
    with Path(path).open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [_value(row[name]) for row in rows] for name in (rows[0] if rows else ())}


def read_curve(path) -> dict[str, list[tuple[int, float]]]:
    """Return every column of a training curve as (epoch, value); nothing without the file.

    Parameters
    ----------
    path : path-like
        With a column ``epoch``; see `pipeline.training.curve`.
    """
    if not Path(path).is_file():
        return {}
    columns = read_table(path)
    epochs = columns.pop("epoch", [])
    return {
        name: [
            (int(epoch), float(value))
            for epoch, value in zip(epochs, values, strict=True)
            if isinstance(value, float)
        ]
        for name, values in columns.items()
    }


def _value(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell
