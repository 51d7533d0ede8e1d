"""Find where two models first differ: ``crossgrade.compare``."""

from __future__ import annotations

from dataclasses import asdict
from os import PathLike
from typing import Any

from pipeline.steps.python import step
from pipeline.steps.reading import FloatModel, QuantizedModel, read
from pipeline.steps.scoring import as_images


class Compared:
    """All layers of two models, and the first that differs.

    Attributes
    ----------
    comparison : pipeline.analysis.comparison.Comparison
        ``layers``, ``first`` (with image, index and both values), ``only_a``, ``only_b``,
        ``other_shapes``, ``outputs_equal``.
    """

    def __init__(self, comparison: Any, titles: tuple[str, str]):
        self.comparison, self.titles = comparison, titles

    def __repr__(self) -> str:
        found = self.comparison
        if found.first is not None:
            return f"<Compared: first differ in {found.first.name}>"
        return f"<Compared: {'equal' if found.equal else 'shapes differ'}>"

    @property
    def equal(self) -> bool:
        """True if no layer that both have differs, in its values or its shape."""
        return self.comparison.equal

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
def compare(
    a: Any, b: Any, x: Any = None, *, x_b: Any = None, target: str | None = None
) -> Compared:
    """Find the first layer, image and value in which two models differ.

    Integers are compared by equality; two float models by the rounding of float32 sums. Outputs of
    the models are compared as well where they have other names; layers of another shape are listed.

    Parameters
    ----------
    a, b : object or path-like
        Programs, quantized or float models, Keras models; also files of ``crossgrade simulate
        --trace``, and folders of golden vectors.
    x : array of shape (n, *input shape) or path of a .npy file, optional
        Images; not needed for two stored outputs.
    x_b : array or path, optional
        The same images for `b`, where it takes another shape or type, as some migrated models do.
    target : str, optional
        Chip that quantized models are run on; by default that of the other one.

    Returns
    -------
    Compared

    Raises
    ------
    ModelError, DataError
        If they cannot be run on the images, or have no layer and no output in common.
    """
    from pipeline.analysis.comparison import compare as compare_outputs
    from pipeline.analysis.opened import opened

    sides = opened(_plain(a), _plain(b), target)
    images, images_b = (
        None if given is None else as_images(given, name)
        for given, name in ((x, "x"), (x_b, "x_b"))
    )
    found = compare_outputs(*sides, images, images_b=images_b)
    return Compared(found, (sides[0].title, sides[1].title))


def _plain(model):
    """Return what `opened` takes: paths as they are, and the pipeline's object of all others."""
    if isinstance(model, str | PathLike):
        return model
    found = read(model)
    if isinstance(found, FloatModel):
        return found.graph
    return found.integers if isinstance(found, QuantizedModel) else found.program
