"""Find where two models first differ: ``crossgrade.compare``."""

from __future__ import annotations

from dataclasses import asdict
from os import PathLike
from typing import Any

from pipeline.steps.python import step
from pipeline.steps.reading import FloatModel, QuantizedModel, read
from pipeline.steps.scoring import as_array


class Compared:
    """All layers of two models, and the first that differs.

    Attributes
    ----------
    comparison : pipeline.analysis.comparison.Comparison
        ``layers``, ``first`` (with image, index and both values), ``only_a``, ``only_b``.
    """

    def __init__(self, comparison: Any, titles: tuple[str, str]):
        self.comparison, self.titles = comparison, titles

    def __repr__(self) -> str:
        first = self.comparison.first
        return f"<Compared: {'equal' if first is None else f'first differ in {first.name}'}>"

    @property
    def equal(self) -> bool:
        """True if no layer that both have differs."""
        return self.comparison.first is None

    def text(self) -> str:
        """Return the first difference, and the layers from there on."""
        from pipeline.analysis.comparison_text import comparison_text

        return comparison_text(self.comparison, self.titles)

    def summary(self) -> None:
        """Print the first difference, and the layers from there on."""
        print(self.text())

    def as_dict(self) -> dict:
        """Return the comparison as JSON values."""
        return {"equal": self.equal, **asdict(self.comparison)}


@step
def compare(a: Any, b: Any, x: Any = None, *, target: str | None = None) -> Compared:
    """Find the first layer, image and value in which two models differ.

    Integers are compared by equality; two float models by the rounding of float32 sums.

    Parameters
    ----------
    a, b : object or path-like
        Programs, quantized or float models, Keras models; also files of ``crossgrade simulate
        --trace``, and folders of golden vectors.
    x : array of shape (n, *input shape) or path of a .npy file, optional
        Images; not needed for two stored outputs.
    target : str, optional
        Chip that quantized models are run on; by default that of the other one.

    Returns
    -------
    Compared

    Raises
    ------
    ModelError, DataError
        If they cannot be run on the images, or have no layer in common.
    """
    from pipeline.analysis.comparison import compare as compare_outputs
    from pipeline.analysis.opened import opened

    sides = opened(_plain(a), _plain(b), target)
    found = compare_outputs(*sides, None if x is None else as_array(x))
    return Compared(found, (sides[0].title, sides[1].title))


def _plain(model):
    """Return what `opened` takes: paths as they are, and the pipeline's object of all others."""
    if isinstance(model, str | PathLike):
        return model
    found = read(model)
    if isinstance(found, FloatModel):
        return found.graph
    return found.integers if isinstance(found, QuantizedModel) else found.program
