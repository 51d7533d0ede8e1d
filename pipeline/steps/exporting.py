"""Write a quantized model for other tools: ``crossgrade.export``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.steps.chip_program import ChipProgram
from pipeline.steps.python import step
from pipeline.steps.reading import as_quantized, read


@step
def export(
    model: Any,
    path: Any,
    format: str | None = None,
    *,
    target: str | None = None,
) -> Path:
    """Write a quantized model, or a program, in a format of other tools.

    The file holds every integer of the model, or none is written: nothing is quantized again.

    Parameters
    ----------
    model : QuantizedModel, ChipProgram, path-like or Keras model
    path : path-like
        File to write.
    format : {"quantizeml", "cnn2snn", "onnx"}, optional
        By default ``onnx`` for programs and files named ``.onnx``, else the model's scheme.
    target : str, optional
        Chip whose program becomes ONNX; by default the newest.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ConfigError
        If the format is unknown, or for another scheme or a model that is no program.
    ModelError
        If the format cannot hold the model; names the layers.
    """
    from pipeline.errors import ConfigError
    from pipeline.exporters.formats import export as export_integers
    from pipeline.exporters.program_onnx import export_program_onnx
    from pipeline.formats.table import format_of
    from pipeline.steps.converting import convert

    found = read(model)
    if isinstance(found, ChipProgram):
        if format not in (None, "onnx") or target not in (None, found.target):
            raise ConfigError(
                f"format={format!r}, target={target!r}: {found.name} is a program of"
                f" {found.target}; it becomes ONNX only, or give the quantized model"
            )
        _check_suffix(path, "onnx")
        export_program_onnx(path, found.program)
        return Path(path)
    quantized = as_quantized(found)
    name = format or format_of(path, quantized.integers.scheme)
    if target is not None and name != "onnx":
        raise ConfigError(f"target={target!r}: belongs to format='onnx'")
    _check_suffix(path, name)
    program = convert(quantized, target).program if target is not None else None
    export_integers(path, quantized.integers, name, program)
    return Path(path)


def _check_suffix(path, name: str) -> None:
    """Refuse a suffix by which other tools would not know the file."""
    from pipeline.errors import ConfigError
    from pipeline.formats.table import EXPORTS

    if name in EXPORTS and Path(path).suffix != EXPORTS[name].suffix:
        raise ConfigError(f"path={str(path)!r}: {name} files end in {EXPORTS[name].suffix}")
