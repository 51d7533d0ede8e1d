"""Load the float model that a run starts from: an architecture or a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pipeline.errors import ModelError
from pipeline.graph.architecture import build_graph
from pipeline.graph.graph import Graph
from pipeline.messages.notes import INPUT, Note
from pipeline.migration.recovery import read_compared
from pipeline.models.wanted import Wanted
from pipeline.preparation.head import cut_head


def source_graph(model: Mapping, *, seed: int) -> tuple[Graph, list[Note]]:
    """Return the float model of the configuration's section ``model``, and notes.

    Parameters
    ----------
    model : mapping
        An architecture, or ``path`` of a float model (``.h5``, ``.keras``, ``.onnx``, ``.npz``)
        that takes raw images, with ``input_shape`` and ``until`` as in `Wanted`.
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
    dtype = graph.input.attrs["dtype"]
    if dtype == "float32" and model.get("raw_images", False):
        graph = graph.rewrite(
            lambda node: [node.with_attrs(dtype="uint8")] if node.op == "Input" else None
        )
        text = f"{graph.input.name}: float inputs are taken as raw images 0..255"
        notes = [*notes, Note(kind=INPUT, layers=(graph.input.name,), text=text)]
    elif dtype != "uint8":
        raise ModelError(
            f"{path}: its inputs are {dtype}, the data are uint8 images; where scaling is part of"
            " the model set model.raw_images=true, otherwise put a Rescaling layer in front"
        )
    return replace(graph, name=str(model.get("name") or path.stem)), notes
