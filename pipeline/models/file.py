"""Read and write float models by the suffix of their file, whole or not at all."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pipeline.errors import ModelError
from pipeline.graph.archive import load_graph, save_graph
from pipeline.graph.graph import Graph
from pipeline.importers import load_float, quantized_by
from pipeline.importers.foreign import foreign
from pipeline.importers.load import format_of
from pipeline.importers.onnx.importer import ONNX
from pipeline.models.wanted import AS_IT_IS, Wanted
from simulator.archive import archive_kind
from simulator.atomic_file import finish

SUFFIXES = (".h5", ".keras", ".onnx", ".npz")


def read_float(path, wanted: Wanted = AS_IT_IS) -> Graph:
    """Return the float model in a file (``.h5``, ``.keras``, ``.onnx``) or a graph (``.npz``).

    From a file that cnn2snn or QuantizeML quantized the float model is recovered, see
    `pipeline.importers.float_recovery`.

    Raises
    ------
    ModelError
        When the file is missing, damaged, integers already, or no model.
    """
    check_file(path)
    if (kind := archive_kind(path)) is not None and kind != "graph":
        raise ModelError(f"{path}: holds a {kind}; give the float model it was made from")
    return load_float(path, wanted) if kind is None else own_graph(path, wanted)


def check_file(path) -> None:
    """Refuse a missing file, and a folder.

    Raises
    ------
    ModelError
    """
    if Path(path).is_dir():
        raise ModelError(f"{path}: {foreign(Path(path))}")
    if not Path(path).is_file():
        raise ModelError(f"{path}: no such file; give a .h5, .keras, .onnx or .npz model")


def own_graph(path, wanted: Wanted) -> Graph:
    """Return the graph in a file of ours, as far as it is wanted.

    Raises
    ------
    ModelError
        When an input shape is given, which the file has.
    """
    graph = load_graph(path)
    if wanted.input_shape not in (None, graph.shapes[graph.input.name]):
        raise ModelError(
            f"{path}: its input has the sizes {graph.shapes[graph.input.name]}; leave the input"
            " shape out"
        )
    return wanted.ended(graph, path)


def origin(path, wanted: Wanted = AS_IT_IS) -> str | None:
    """Return which tool quantized the model in a file (``cnn2snn``, ``QuantizeML``), or None."""
    return None if archive_kind(path) is not None else quantized_by(path, wanted)


def is_own(path) -> bool:
    """Return True if a file holds a graph of the pipeline."""
    return archive_kind(path) is not None


def is_onnx(path) -> bool:
    """Return True if a file is read as ONNX."""
    return archive_kind(path) is None and format_of(path) is ONNX


def check_suffix(path) -> None:
    """Refuse a suffix without a writer.

    Raises
    ------
    ModelError
        With the allowed ones, or if the package that writes it is not installed.
    """
    if Path(path).suffix == ".onnx":
        from pipeline.importers.onnx.file import import_onnx

        import_onnx(path)
    if Path(path).suffix not in SUFFIXES:
        raise ModelError(f"{path}: cannot be written; allowed suffixes: {', '.join(SUFFIXES)}")


def write_float(path, graph: Graph, accept) -> None:
    """Write a model to a temporary file, let `accept` read it, then rename it.

    Parameters
    ----------
    path : path-like
        ``.h5`` is Keras 2 (what the vendor's tools load), ``.keras`` Keras 3, ``.onnx`` ONNX,
        ``.npz`` a graph.
    graph : Graph
    accept : function of path
        Raises to refuse the file; nothing is left behind then.
    """
    check_suffix(path)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        temporary = Path(folder, path.name)
        _writer(path.suffix)(temporary, graph)
        accept(temporary)
        temporary.chmod(0o644)
        finish(temporary, path)


def _writer(suffix):
    if suffix == ".npz":
        return save_graph
    from pipeline.exporters import save_keras2_h5, save_keras3, save_onnx

    return {".h5": save_keras2_h5, ".keras": save_keras3, ".onnx": save_onnx}[suffix]
