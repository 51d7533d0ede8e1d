"""Name the exported files of a migrated model in its certificate."""

from __future__ import annotations

import math
import os
from pathlib import Path

from pipeline.errors import DataError
from pipeline.files import file_sha256, write_bytes, write_json
from pipeline.migration.certificate import NAME, PAGE, digest, read_certificate
from pipeline.migration.page import page
from pipeline.models.file import read_float
from pipeline.quantization.quantized_graph import QuantizedGraph

KEY = "exports"
"""Of the list in a certificate."""


class CertifiedExport:
    """A certificate to which an export will be added; everything is checked before it is written.

    Parameters
    ----------
    path : path-like
        A certificate, or its folder.
    quantized : QuantizedGraph
        The model that will be exported.

    Raises
    ------
    DataError
        If it is no certificate, was changed, or is of another model.
    """

    def __init__(self, path, quantized: QuantizedGraph):
        self.content = read_certificate(path)
        self.folder = Path(path) if Path(path).is_dir() else Path(path).parent
        if self.content.get("digest") != digest(self.content):
            raise DataError(f"{path}: was changed after it was written; migrate the model again")
        migrated = Path(os.path.normpath(self.folder / self.content["output"]["path"]))
        if not migrated.is_file() or file_sha256(migrated) != self.content["output"]["sha256"]:
            raise DataError(
                f"{path}: certifies {migrated}, which is not there or another file;"
                " migrate the model again"
            )
        wanted, found = _sizes(read_float(migrated)), _sizes(quantized)
        if wanted != found:
            raise DataError(
                f"{path}: certifies a model of {_text(*wanted)}; found one of {_text(*found)};"
                f" quantize {migrated}"
            )

    def add(self, model, exported, name: str) -> None:
        """Add an exported file, or replace the entry of its format, and write the certificate.

        Parameters
        ----------
        model, exported : path-like
            The quantized model's file, and the one that was exported from it.
        name : str
            Format.
        """
        entry = {"format": name, **self._file(exported), "quantized": self._file(model)}
        kept = [other for other in self.content.get(KEY, ()) if other["format"] != name]
        content = {**self.content, KEY: [*kept, entry]}
        content["digest"] = digest(content)
        write_json(self.folder / NAME, content)
        write_bytes(self.folder / PAGE, page(content).encode())

    def _file(self, path) -> dict:
        return {
            "path": os.path.relpath(path, self.folder),
            "sha256": file_sha256(path),
            "bytes": Path(path).stat().st_size,
        }


def _sizes(graph) -> tuple[tuple[int, ...], int]:
    """Return the shape of a model's images, and how many values it outputs for one."""
    shape = graph.shapes[graph.input.name]
    return tuple(shape), sum(math.prod(graph.shapes[end.name]) for end in graph.ends)


def _text(shape, outputs) -> str:
    return f"inputs {'x'.join(map(str, shape))} and {outputs} outputs"
