"""Measure what quantization costs in each layer: ``crossgrade.analyze``."""

from __future__ import annotations

from math import prod
from typing import Any

from pipeline.steps.chip_program import ChipProgram
from pipeline.steps.python import step
from pipeline.steps.reading import as_float, as_quantized, read
from pipeline.steps.scoring import as_array, as_labels


class Analyzed:
    """The error of each layer, its cause and a remedy.

    Attributes
    ----------
    analysis : pipeline.analysis.analysis.Analysis
        ``layers``, ``decibels`` (signal to noise of the outputs), ``agreement`` of the classes.
    """

    def __init__(self, analysis: Any, quantized: Any, target: str | None):
        self.analysis, self._quantized, self._target = analysis, quantized, target

    def __repr__(self) -> str:
        return f"<Analyzed {self.analysis.model!r}: {self.analysis.decibels:.1f} dB>"

    def summary(self) -> None:
        """Print the layers, those with the largest error of their own first."""
        from pipeline.analysis.table import analysis_text

        print(analysis_text(self.analysis))

    def as_dict(self) -> dict:
        """Return the analysis as JSON values."""
        from pipeline.analysis.table import analysis_json

        return analysis_json(self.analysis)

    def save(self, path: Any) -> None:
        """Write the analysis as one page (``.html``), with the costs and limits of the chip."""
        from pipeline.analysis.page import page, side
        from pipeline.files import write_text
        from pipeline.steps.converting import convert

        made = self._quantized
        if not isinstance(made, ChipProgram):
            made = convert(made, self._target)
        write_text(path, page(side(self.analysis, made.program, made.name)))


@step
def analyze(
    model: Any,
    quantized: Any,
    x: Any,
    y: Any = None,
    *,
    target: str | None = None,
    each: bool = False,
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

    Returns
    -------
    Analyzed

    Raises
    ------
    ModelError, DataError
        If the models do not belong together, or images or labels do not fit them.
    """
    from pipeline.analysis.analysis import analyse

    made = read(quantized)
    if not isinstance(made, ChipProgram):
        made = as_quantized(made)
    integers = made.program if isinstance(made, ChipProgram) else made.integers
    graph, images = of_same_images(as_float(model).graph, integers), as_array(x)
    outputs = prod(graph.shapes[graph.output])
    classes = None if y is None else as_labels(y, images=len(images), outputs=outputs)
    return Analyzed(analyse(graph, integers, images, classes, each=each), made, target)


def of_same_images(graph, made):
    """Return a float model that takes the images of the quantized model or program made of it."""
    from pipeline.models.input_dtype import with_input_dtype
    from simulator import Program

    dtype = made.input_dtype if isinstance(made, Program) else made.input.attrs["dtype"]
    return with_input_dtype(graph, dtype)
