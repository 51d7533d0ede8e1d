"""The formats in which quantized models are exported: a format is a row of `FORMATS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.exporters.cnn2snn_h5 import export_cnn2snn
from pipeline.exporters.quantizeml import export_quantizeml
from pipeline.messages.notes import Note
from pipeline.messages.settings import setting
from pipeline.quantization.quantized_graph import QuantizedGraph

Write = Callable[[Path, QuantizedGraph], tuple[Note, ...]]


@dataclass(frozen=True)
class ExportFormat:
    """One format.

    Attributes
    ----------
    name : str
    suffix : str
        Of its files.
    scheme : str
        The quantization scheme whose arithmetic it holds.
    write : function of (path, integer model) to notes
    """

    name: str
    suffix: str
    scheme: str
    write: Write


FORMATS = {
    row.name: row
    for row in (
        ExportFormat("quantizeml", ".h5", "quantizeml", export_quantizeml),
        ExportFormat("cnn2snn", ".h5", "cnn2snn", export_cnn2snn),
    )
}
"""By name."""


def export(path: str | Path, quantized: QuantizedGraph, name: str) -> tuple[Note, ...]:
    """Write an integer model in the format `name`, atomically; return notes on its form.

    Raises
    ------
    ConfigError
        If the format is unknown, or for another scheme.
    IncompatibleModelError
        If the format cannot hold the model; names the layers.
    """
    check_format(name, quantized.scheme)
    return FORMATS[name].write(Path(path), quantized)


def check_format(name: str, scheme: str) -> None:
    """Raise a ConfigError unless a format exists and holds models of a scheme."""
    if name not in FORMATS:
        raise ConfigError(
            f"{setting('export.formats')}: found '{name}'; allowed: {', '.join(FORMATS)}"
        )
    wanted = FORMATS[name].scheme
    if scheme != wanted:
        raise ConfigError(
            f"{setting('export.formats')}: {name} holds models of the scheme {wanted}, not of"
            f" {scheme}; use {setting('quantization.scheme', wanted)}, or another format"
        )
