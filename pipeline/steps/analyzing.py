"""Measure what quantization costs in each layer: ``crossgrade.analyze``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.steps.chip_program import ChipProgram
from pipeline.steps.python import step
from pipeline.steps.reading import as_float, as_made
from pipeline.steps.scoring import as_classes, as_images, called


class Analyzed:
    """The error of each layer, its cause and a remedy.

    Attributes
    ----------
    analysis : pipeline.analysis.analysis.Analysis
        ``layers``, ``decibels`` (signal to noise of the outputs), ``agreement`` of the classes.
    title : str
        What tables and pages of two models call this one.
    """

    def __init__(self, analysis: Any, quantized: Any, target: str | None):
        self.analysis, self._quantized, self._target = analysis, quantized, target
        self.title: str = quantized.name

    def __repr__(self) -> str:
        return f"<Analyzed {self.analysis.model!r}: {self.analysis.decibels:.1f} dB>"

    def text(self, beside: Analyzed | None = None) -> str:
        """Return a table of the layers, those with the largest error of their own first.

        With the analysis of another quantized model of the same float model, both side by side.
        """
        from pipeline.analysis.table import analysis_text
        from pipeline.analysis.table_beside import beside_text

        if beside is None:
            return analysis_text(self.analysis)
        return beside_text([self.analysis, beside.analysis], [self.title, beside.title])

    def summary(self, beside: Analyzed | None = None) -> None:
        """Print the table of `text`."""
        print(self.text(beside))

    def as_dict(self) -> dict:
        """Return the analysis as JSON values."""
        from pipeline.analysis.table import analysis_json

        return analysis_json(self.analysis)

    def save(self, path: Any, beside: Analyzed | None = None) -> None:
        """Write the analysis as one page (``.html``), with the costs and limits of the chip.

        With the analysis of another quantized model of the same float model, both side by side.
        """
        from pipeline.analysis.page import page
        from pipeline.analysis.page_beside import page_beside
        from pipeline.files import write_text

        text = page(self._side()) if beside is None else page_beside((self._side(), beside._side()))
        write_text(path, text)

    def _side(self) -> Any:
        from pipeline.analysis.page import side
        from pipeline.steps.converting import convert

        made = self._quantized
        if not isinstance(made, ChipProgram):
            made = convert(made, self._target)
        return side(self.analysis, made.program, self.title)


@step
def analyze(
    model: Any,
    quantized: Any,
    x: Any,
    y: Any = None,
    *,
    target: str | None = None,
    each: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Analyzed:
    """Measure what quantization costs in each layer, and find why.

    Parameters
    ----------
    model : path-like, str, Keras model or FloatModel
        The float model that was quantized.
    quantized : QuantizedModel, ChipProgram, path-like or Keras model
    x : array of shape (n, *input shape), or path of a .npy file
        Images; some dozens are enough.
    y : int array of shape (n,) or path, optional
        Their classes.
    target : str, optional
        Chip whose costs and limits the page shows; by default the newest.
    each : bool
        Take every layer by itself instead of blocks.
    progress : function of (batches done, batches in all), optional

    Returns
    -------
    Analyzed

    Raises
    ------
    ModelError, DataError
        If the models do not belong together, or images or labels do not fit them.
    """
    from pipeline.analysis.analysis import analyse
    from pipeline.quantization.samples import check_samples

    made = as_made(quantized)
    integers = made.program if isinstance(made, ChipProgram) else made.integers
    graph = of_same_images(as_float(model).graph, integers)
    images = check_samples(graph, as_images(x, "x"), called(x, "x"))
    classes = as_classes(y, graph, images)
    return Analyzed(analyse(graph, integers, images, classes, progress, each=each), made, target)


def of_same_images(graph, made):
    """Return a float model that takes the images of the quantized model or program made of it."""
    from pipeline.models.input_dtype import with_input_dtype
    from simulator import Program

    dtype = made.input_dtype if isinstance(made, Program) else made.input.attrs["dtype"]
    return with_input_dtype(graph, dtype)
