"""The formats in which quantized models are exported."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ExportFormat:
    """One format; `pipeline.exporters.formats` has its writer under the same name.

    Attributes
    ----------
    name : str
    suffix : str
        Of its files.
    schemes : tuple of str
        The quantization schemes whose arithmetic it holds.
    """

    name: str
    suffix: str
    schemes: tuple[str, ...]


EXPORTS = {
    row.name: row
    for row in (
        ExportFormat("quantizeml", ".h5", ("quantizeml",)),
        ExportFormat("cnn2snn", ".h5", ("cnn2snn",)),
        ExportFormat("onnx", ".onnx", ("quantizeml", "cnn2snn")),
    )
}
"""By name."""
