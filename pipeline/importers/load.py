"""Recognise a model file by its content, and read it."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import ModelError
from pipeline.graph.graph import Graph
from pipeline.importers.cnn2snn_h5 import is_cnn2snn, legacy_graph
from pipeline.importers.float_recovery import recovered_graph
from pipeline.importers.keras_float import float_graph
from pipeline.importers.keras_h5 import open_keras_h5
from pipeline.importers.keras_zip import open_keras_zip
from pipeline.importers.quantizeml_h5 import calibrated_graph, is_quantizeml
from pipeline.quantization.calibrated_graph import CalibratedGraph
from pipeline.quantization.legacy_graph import LegacyGraph

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
ZIP_SIGNATURE = b"PK\x03\x04"


def load_model(path: str | Path) -> Graph | CalibratedGraph | LegacyGraph:
    """Read a Keras model: float, or quantized by QuantizeML or by cnn2snn.

    Parameters
    ----------
    path : str or Path
        Keras 2 or Keras 3 ``.h5``, or ``.keras``; recognised by content, not by suffix.

    Returns
    -------
    Graph, CalibratedGraph or LegacyGraph
        A float model, or one quantized by QuantizeML or cnn2snn (integers not computed yet).

    Raises
    ------
    ModelError
        If the file is missing, damaged, or has layers that cannot be represented; lists all of
        them.
    """
    path = Path(path)
    with _opener(path)(path) as model:
        if is_quantizeml(model):
            return calibrated_graph(model)
        if is_cnn2snn(model):
            return legacy_graph(model)
        return float_graph(model)


def load_float(path: str | Path) -> Graph:
    """Read a Keras model, and recover the float model if it is quantized.

    Parameters and errors are those of `load_model`;
    `pipeline.importers.float_recovery.recovered_graph` describes the recovery.
    """
    path = Path(path)
    with _opener(path)(path) as model:
        return recovered_graph(model)


def quantized_by(path: str | Path) -> str | None:
    """Return which tool quantized a Keras file: ``cnn2snn``, ``QuantizeML`` or None."""
    path = Path(path)
    with _opener(path)(path) as model:
        if is_quantizeml(model):
            return "QuantizeML"
        return "cnn2snn" if is_cnn2snn(model) else None


def _opener(path):
    """Return the function that opens a file with the content of `path`."""
    if path.is_dir():
        raise ModelError(f"{path}: it is a directory; give a .h5 or .keras file")
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such file") from error
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    if head == HDF5_SIGNATURE:
        return open_keras_h5
    if head[:4] == ZIP_SIGNATURE:
        return open_keras_zip
    raise ModelError(f"{path}: it is neither HDF5 (.h5) nor a .keras archive")
