"""The importer of ONNX files."""

from __future__ import annotations

from pathlib import Path

from pipeline.graph.graph import Graph
from pipeline.importers.importer import Importer
from pipeline.models.wanted import Wanted


class OnnxFile(Importer):
    """ONNX, which has no signature: a protobuf whose first field is a small version number."""

    what = "ONNX (.onnx)"

    def matches(self, head: bytes, suffix: str) -> bool:
        """Return whether a file is called ``.onnx``, or begins with the number of a version."""
        return suffix.lower() == ".onnx" or (head[:1] == b"\x08" and 0 < head[1] < 32)

    def load(self, path: Path, wanted: Wanted) -> Graph:
        """Return the graph of a float model."""
        from pipeline.importers.onnx.file import read_onnx
        from pipeline.importers.onnx.reader import onnx_graph

        return onnx_graph(read_onnx(path), wanted)

    load_float = load


ONNX = OnnxFile()
