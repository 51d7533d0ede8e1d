"""Compare two programs layer by layer: ``crossgrade.diff``, and the command's work."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pipeline.steps.python import step
from pipeline.steps.reading import as_runnable
from pipeline.steps.scoring import as_array, as_images


class Differences:
    """Two programs side by side.

    Attributes
    ----------
    notes : tuple of Note
        Where the images seem out of scale.
    """

    def __init__(self, found: dict, titles: tuple[str, str], notes: Iterable):
        self._found, self.titles, self.notes = found, titles, tuple(notes)

    def __repr__(self) -> str:
        a, b = (f"{self._found[side]['weight_bytes']:,}" for side in "ab")
        return f"<Differences: {a} and {b} bytes of weights>"

    def text(self, titles: tuple[str, str] | None = None) -> str:
        """Return tables of the layers, their figures and the totals; `titles` name the programs."""
        from pipeline.evaluation.program_diff_table import diff_table

        return diff_table(self._found, titles or self.titles)

    def summary(self) -> None:
        """Print the tables."""
        print(self.text())

    def as_dict(self) -> dict:
        """Return the comparison as JSON values."""
        return self._found


@step
def diff(a: Any, b: Any, x: Any = None, y: Any = None) -> Differences:
    """Compare two programs, of the same or different chips, layer by layer.

    Shows types, shapes, widths, memory and multiply-accumulates (MACs); for images also each
    layer's zeros, the MACs without operations on them, and how often both predict the same class.

    Parameters
    ----------
    a, b : ChipProgram, QuantizedModel or path-like
        A quantized model counts as the program of the newest chip that takes it.
    x : array of shape (n, *input shape) or path of a .npy file, optional
        Images to run both on.
    y : int array of shape (n,) or path, optional
        Their classes, for accuracies.

    Returns
    -------
    Differences

    Raises
    ------
    ProgramError, DataError
        If a program does not take the images, the labels do not fit them, or the outputs cannot be
        compared.
    """
    from pipeline.evaluation.program_diff import diff as diff_programs
    from pipeline.steps.simulation import Simulation

    sides = [as_runnable(side) for side in (a, b)]
    images = None if x is None else as_images(x, "x")
    labels = None if y is None else as_array(y)
    notes: dict[str, Any] = {}
    for side in sides if images is not None else ():
        notes |= {note.text: note for note in Simulation(side.program).checked(images)[1]}
    found = diff_programs(*(side.program for side in sides), images, labels)
    return Differences(found, (sides[0].name, sides[1].name), notes.values())
