"""What an importer of one file format can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from pipeline.graph.graph import Graph
from pipeline.importers.outline import Outline
from pipeline.models.wanted import Wanted
from pipeline.quantization.calibrated_graph import CalibratedGraph
from pipeline.quantization.legacy_graph import LegacyGraph

Loaded = Graph | CalibratedGraph | LegacyGraph


class Importer(ABC):
    """Reads files of one format; it has no state, and starts nothing before a file is read."""

    @abstractmethod
    def matches(self, head: bytes, suffix: str) -> bool:
        """Return whether a file with these first 8 bytes is of this format."""

    @abstractmethod
    def load(self, path: Path, wanted: Wanted) -> Loaded:
        """Return the model in a file: float, or quantized but before its integers."""

    @abstractmethod
    def load_float(self, path: Path, wanted: Wanted) -> Graph:
        """Return the float model in a file, recovered where it is quantized."""

    @abstractmethod
    def outline(self, path: Path, wanted: Wanted) -> Outline:
        """Return the layers of a file by name, also of one that cannot be read as a graph."""

    def quantized_by(self, path: Path, wanted: Wanted) -> str | None:
        """Return the tool that quantized the model in a file; None for a float one."""
        return None
