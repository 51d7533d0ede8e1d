"""Load the float model that a run starts from: an architecture or a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pipeline.errors import ModelError
from pipeline.graph.architecture import build_graph
from pipeline.graph.graph import Graph
from pipeline.messages.notes import INPUT, Note
from pipeline.messages.settings import setting
from pipeline.migration.recovery import read_compared
from pipeline.models.input_dtype import AUTO, choose_input_dtype, with_input_dtype
from pipeline.models.wanted import Wanted
from pipeline.preparation.head import cut_head


def source_graph(model: Mapping, *, seed: int) -> tuple[Graph, list[Note]]:
    """Return the float model of the configuration's section ``model``, and notes.

    Parameters
    ----------
    model : mapping
        An architecture, or ``path`` of a float model (``.h5``, ``.keras``, ``.onnx``, ``.npz``)
        that takes raw images, with ``input_dtype`` as in `choose_input_dtype`, ``input_shape`` and
        ``until`` as in `Wanted`.
    seed : int
        For an architecture's initial weights.

    Raises
    ------
    ModelError
        When the file or architecture is not a model, or does not take bytes; when a model
        recovered from a quantized file computes something else.
    """
    if "path" not in model:
        return build_graph(model, seed=seed), []
    path = Path(model["path"])
    graph, read = read_compared(path, Wanted.of(model))
    graph, notes = cut_head(graph)
    notes = [*read, *notes]
    # The data are uint8 images, of which a model of float inputs takes the same numbers.
    wanted = model.get("input_dtype", AUTO)
    chosen = choose_input_dtype(graph, "uint8" if wanted == AUTO else wanted)
    if chosen.dtype != "uint8":
        raise ModelError(
            f"{path}: takes {chosen.dtype} images, the data are uint8; put a Rescaling layer in"
            f" front, or use {setting('model.input_dtype', AUTO)}, if it rescales pixels itself"
        )
    if chosen.reason:
        text = f"{graph.input.name}: takes uint8 images, as the data are"
        notes = [*notes, Note(kind=INPUT, layers=(graph.input.name,), text=text)]
        graph = with_input_dtype(graph, chosen.dtype)
    return replace(graph, name=str(model.get("name") or path.stem)), notes
