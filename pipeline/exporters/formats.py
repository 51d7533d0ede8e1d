"""Write quantized models in the formats of `pipeline.formats.table`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from pipeline.chips import convert, newest_for
from pipeline.errors import ConfigError
from pipeline.exporters.cnn2snn_h5 import export_cnn2snn
from pipeline.exporters.program_onnx import export_program_onnx
from pipeline.exporters.quantizeml import export_quantizeml
from pipeline.formats.table import EXPORTS
from pipeline.messages.notes import Note
from pipeline.messages.settings import setting
from pipeline.quantization.quantized_graph import QuantizedGraph
from simulator import Program

Write = Callable[[Path, QuantizedGraph], tuple[Note, ...]]
WRITERS: dict[str, Write] = {"quantizeml": export_quantizeml, "cnn2snn": export_cnn2snn}
"""Formats of quantized models; ONNX holds a chip's program."""


def export(
    path: str | Path, quantized: QuantizedGraph, name: str, program: Program | None = None
) -> tuple[Note, ...]:
    """Write an integer model in the format `name`, atomically; return notes on its form.

    Parameters
    ----------
    path : str or Path
    quantized : QuantizedGraph
    name : str
    program : Program, optional
        The model's program, for ONNX; by default that of the newest chip for its scheme.

    Raises
    ------
    ConfigError
        If the format is unknown, or for another scheme.
    ModelError
        If the format cannot hold the model; names the layers.
    """
    if name not in EXPORTS:
        raise ConfigError(
            f"{setting('export.formats')}: found '{name}'; allowed: {', '.join(EXPORTS)}"
        )
    allowed = EXPORTS[name].schemes
    if quantized.scheme not in allowed:
        raise ConfigError(
            f"{setting('export.formats')}: {name} holds models of the scheme"
            f" {' or '.join(allowed)}, not of {quantized.scheme}; use"
            f" {setting('quantization.scheme', allowed[0])}, or another format"
        )
    if name in WRITERS:
        return WRITERS[name](Path(path), quantized)
    export_program_onnx(path, program or convert(quantized, newest_for(quantized.scheme)))
    return ()


def check_export(quantized: QuantizedGraph, name: str) -> None:
    """Raise what `export` would raise, and keep no file."""
    with tempfile.TemporaryDirectory() as folder:
        export(Path(folder) / "model", quantized, name)
