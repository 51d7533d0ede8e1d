"""Measure what quantization costs in each layer: ``crossgrade.analyze``."""

from __future__ import annotations

from typing import Any

from pipeline.steps.python import step
from pipeline.steps.quantized_model import QuantizedModel
from pipeline.steps.reading import as_float, as_quantized
from pipeline.steps.scoring import as_array


class Analyzed:
    """The error of each layer, its cause and a remedy.

    Attributes
    ----------
    analysis : pipeline.analysis.analysis.Analysis
        ``layers``, ``decibels`` (signal to noise of the outputs), ``agreement`` of the classes.
    """

    def __init__(self, analysis: Any, quantized: QuantizedModel, target: str | None):
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
        from pipeline.analysis.cost import layer_costs
        from pipeline.analysis.page import page
        from pipeline.files import write_text
        from pipeline.steps.converting import convert

        program = convert(self._quantized, self._target).program
        write_text(path, page(self.analysis, layer_costs(program), program.limits()))


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
    quantized : QuantizedModel, path-like or Keras model
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
    from pipeline.models.input_dtype import with_input_dtype

    made = as_quantized(quantized)
    classes = None if y is None else as_array(y)
    graph = with_input_dtype(as_float(model).graph, made.integers.input.attrs["dtype"])
    found = analyse(graph, made.integers, as_array(x), classes, each=each)
    return Analyzed(found, made, target)
