"""Open what ``crossgrade compare`` compares, whatever kind of file it is."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path

from pipeline.analysis.outputs import (
    MANIFEST,
    TRACE,
    Outputs,
    of_graph,
    of_program,
    of_trace,
    of_vectors,
)
from pipeline.chips import convert, newest_for
from pipeline.graph.graph import Graph
from pipeline.importers import load_model
from pipeline.models.file import check_file, own_graph
from pipeline.models.wanted import Wanted
from pipeline.quantization.archive import KIND, load_quantized
from pipeline.quantization.integers import integers
from pipeline.quantization.quantized_graph import QuantizedGraph
from simulator import Program
from simulator.archive import archive_kind

PROGRAM = "program"


def opened(a, b, target: str | None = None) -> tuple[Outputs, Outputs]:
    """Return the outputs of two files or folders.

    Parameters
    ----------
    a, b : path-like or object
        Programs, quantized models, traces, folders of golden vectors or float models.
    target : str, optional
        Chip that quantized models are converted to; by default that of the other one, if it is a
        program, else the newest one that takes them.

    Raises
    ------
    ModelError, DataError, IncompatibleModelError
        If a file is of no such kind, is damaged, or cannot be converted.
    """
    found = [_loaded(path) for path in (a, b)]
    targets = [other.target for other in found if isinstance(other, Program)]
    chosen = target or (targets[0] if targets else None)
    left, right = (
        _of_file(_outputs(model, chosen), path) for model, path in zip(found, (a, b), strict=True)
    )
    return left, right


def _loaded(path):
    if not isinstance(path, str | PathLike):
        return path
    if (Path(path) / MANIFEST).is_file():
        return of_vectors(path)
    check_file(path)
    kind = archive_kind(path)
    if kind == PROGRAM:
        return Program.load(path)
    if kind == TRACE:
        return of_trace(path)
    if kind == KIND:
        return load_quantized(path)
    return load_model(path, Wanted()) if kind is None else own_graph(path, Wanted())


def _of_file(outputs: Outputs, path) -> Outputs:
    """Let messages name the file: models before and after a migration have the same name."""
    if not isinstance(path, str | PathLike) or str(path) in outputs.title:
        return outputs
    return replace(outputs, title=f"{outputs.title} in {path}")


def _outputs(model, target: str | None) -> Outputs:
    if isinstance(model, Outputs):
        return model
    if isinstance(model, Program):
        return of_program(model)
    if isinstance(model, Graph):
        return of_graph(model)
    quantized: QuantizedGraph = integers(model)
    return of_program(convert(quantized, target or newest_for(quantized.scheme)))
