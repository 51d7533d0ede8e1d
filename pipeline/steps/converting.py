"""Convert a quantized model: ``crossgrade.convert``."""

from __future__ import annotations

from typing import Any

from pipeline.steps.chip_program import ChipProgram
from pipeline.steps.conversion import converted
from pipeline.steps.python import step
from pipeline.steps.reading import as_quantized
from pipeline.steps.scoring import as_images


@step
def convert(
    model: Any,
    target: str | None = None,
    *,
    strict: bool = False,
    fit_registers: bool = False,
    samples: Any = None,
) -> ChipProgram:
    """Convert a quantized model to a program of a chip.

    Parameters
    ----------
    model : QuantizedModel, path-like or Keras model
        What `crossgrade.quantize` returns; a file of it; or a model that QuantizeML or cnn2snn
        quantized, as a file or a Keras object.
    target : str, optional
        Name of the chip; by default the newest for the model's scheme.
    strict : bool
        Refuse a program beyond the chip's published limits, which only the emulator can run.
    fit_registers : bool
        Fit registers into their widths even where outputs change.
    samples : array of shape (n, *input shape) or path of a .npy file, optional
        Images to measure changes of the outputs on; random by default.

    Returns
    -------
    ChipProgram
        With notes on what conversion changed.

    Raises
    ------
    IncompatibleModelError
        If a layer has no counterpart on the chip; lists all of them.
    """
    quantized = as_quantized(model).integers
    images = None if samples is None else as_images(samples, "the samples")
    return converted(
        quantized, target, strict=strict, fit_registers=fit_registers, samples=lambda: images
    )
