"""Open a model of any phase by its file, or an architecture by its name."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.errors import ModelError
from pipeline.graph.architecture import build_graph
from pipeline.graph.architecture_file import is_architecture, read_architecture
from pipeline.graph.graph import Graph
from pipeline.importers import load_model
from pipeline.importers.importer import Loaded
from pipeline.messages.notes import Note
from pipeline.migration.recovery import read_compared
from pipeline.models.file import check_file, own_graph
from pipeline.models.program import PROGRAM
from pipeline.models.wanted import AS_IT_IS, Wanted
from pipeline.quantization.archive import KIND, load_quantized
from pipeline.quantization.quantized_graph import QuantizedGraph
from simulator.archive import archive_kind


def open_float(
    model, parameters: Sequence[str] = (), wanted: Wanted = AS_IT_IS
) -> tuple[Graph, list[Note]]:
    """Return the graph of an architecture with its parameters, or of a file.

    Parameters
    ----------
    model : str or path-like
        Name of an architecture, or a file.
    parameters : sequence of str
        Of an architecture, such as ``alpha=0.5``.
    wanted : Wanted

    Returns
    -------
    Graph
    list of Note
        What was recovered from a quantized file, and how far it differs.

    Raises
    ------
    ModelError
        When it is neither, or is given what belongs to the other; when a model recovered from a
        quantized file computes something else.
    """
    if is_architecture(str(model)):
        if wanted.input_shape is not None:
            sizes = ",".join(map(str, wanted.input_shape))
            raise ModelError(f"{model}: is an architecture; give input_shape=[{sizes}] after it")
        return wanted.ended(build_graph(read_architecture(str(model), parameters)), model), []
    if parameters:
        raise ModelError(
            f"{model}: a file of weights takes no parameters, found '{parameters[0]}'; only"
            " architectures (a name or a .yaml file) do"
        )
    return read_compared(model, wanted)


def open_model(path, wanted: Wanted = AS_IT_IS) -> Loaded | QuantizedGraph:
    """Return the model in a file: float, or quantized in any phase.

    Keras files (``.h5``, ``.keras``), ONNX and crossgrade's own ``.npz`` files are recognised.

    Raises
    ------
    ModelError
        If the file contains none of them.
    """
    check_file(path)
    kind = archive_kind(path)
    if kind == PROGRAM:
        raise ModelError(f"{path}: is a program already; see 'crossgrade summary {path}'")
    if kind == KIND:
        return load_quantized(path)
    return load_model(path, wanted) if kind is None else own_graph(path, wanted)
