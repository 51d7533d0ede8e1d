"""Recognise a model file by its content and read it."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import IncompatibleModelError, ModelError
from pipeline.graph.graph import Graph
from pipeline.importers.keras_float import float_graph
from pipeline.importers.keras_h5 import open_keras_h5
from pipeline.importers.keras_zip import open_keras_zip
from pipeline.importers.quantizeml_h5 import calibrated_graph, is_quantizeml
from pipeline.quantization.calibrated_graph import CalibratedGraph

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
ZIP_SIGNATURE = b"PK\x03\x04"


def load_model(path: str | Path) -> Graph | CalibratedGraph:
    """Read a Keras model: float, or quantized by QuantizeML.

    Parameters
    ----------
    path : str or Path
        Keras 2 or Keras 3 ``.h5``, or ``.keras``; the content decides, not the suffix.

    Returns
    -------
    Graph or CalibratedGraph
        A float model, or a quantized one (before its integers).

    Raises
    ------
    ModelError
        When the file is missing, damaged, or has layers that cannot be represented; all of them
        are listed.
    """
    path = Path(path)
    with _opener(path)(path) as model:
        if is_quantizeml(model):
            return calibrated_graph(model)
        legacy = sorted(
            {layer.class_name for layer in model.layers if layer.class_name.startswith("Quantized")}
        )
        if legacy:
            raise IncompatibleModelError(
                str(path),
                [
                    f"{layer.name}: {layer.class_name} is a layer of cnn2snn's quantizer; give"
                    " the float model it was made from"
                    for layer in model.layers
                    if layer.class_name in legacy
                ],
                "read a cnn2snn-quantized model",
            )
        return float_graph(model)


def _opener(path):
    """Return the reader for the content of `path`."""
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
