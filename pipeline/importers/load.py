"""Recognise a model file by its content, and read it."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import ModelError
from pipeline.graph.graph import Graph
from pipeline.importers.foreign import foreign
from pipeline.importers.importer import Importer, Loaded
from pipeline.importers.keras_file import KERAS_H5, KERAS_ZIP
from pipeline.importers.onnx.importer import ONNX
from pipeline.importers.outline import Outline
from pipeline.models.wanted import AS_IT_IS, Wanted
from simulator.malformed import MALFORMED, brief

IMPORTERS: tuple[Importer, ...] = (KERAS_H5, KERAS_ZIP, ONNX)
"""In the order in which they are asked. A format is a new importer and a row here."""


def load_model(path: str | Path, wanted: Wanted = AS_IT_IS) -> Loaded:
    """Read a model: float, or quantized by QuantizeML or by cnn2snn.

    Parameters
    ----------
    path : str or Path
        Keras 2 or Keras 3 ``.h5``, ``.keras``, or ``.onnx``; the content decides, not the suffix.
    wanted : Wanted
        What the file leaves open, and where the model ends.

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
    with _refusing(path):
        return format_of(path).load(path, wanted)


def load_float(path: str | Path, wanted: Wanted = AS_IT_IS) -> Graph:
    """Read a model, and recover the float one where it is quantized.

    Parameters and errors are those of `load_model`;
    `pipeline.importers.float_recovery.recovered_graph` describes the recovery.
    """
    path = Path(path)
    with _refusing(path):
        return format_of(path).load_float(path, wanted)


def outline_of(path: str | Path, wanted: Wanted = AS_IT_IS) -> Outline:
    """Return the layers of a file by name, also of one that cannot be read as a graph."""
    path = Path(path)
    with _refusing(path):
        return format_of(path).outline(path, wanted)


def quantized_by(path: str | Path, wanted: Wanted = AS_IT_IS) -> str | None:
    """Return which tool quantized the model in a file: ``cnn2snn``, ``QuantizeML`` or None."""
    path = Path(path)
    with _refusing(path):
        return format_of(path).quantized_by(path, wanted)


@contextmanager
def _refusing(path):
    """Refuse a file in which the parts of the model do not fit together as an importer expects."""
    try:
        yield
    except ModelError:
        raise
    except MALFORMED as error:
        reason = f"{type(error).__name__}: {brief(error)}"
        raise ModelError(
            f"{path}: its model is malformed ({reason}); save or copy it again"
        ) from error


def format_of(path) -> Importer:
    """Return the importer of a file, chosen by its content.

    Raises
    ------
    ModelError
        When it cannot be read, or is of no known format.
    """
    if path.is_dir():
        raise ModelError(f"{path}: {foreign(path)}")
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such file") from error
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    for importer in IMPORTERS:
        if importer.matches(head, path.suffix):
            return importer
    raise ModelError(f"{path}: {foreign(path)}")
