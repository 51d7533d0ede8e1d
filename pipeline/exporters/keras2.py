"""Write Keras 2 files: the ``.h5`` format of tf_keras, which BrainChip's tools read."""

from __future__ import annotations

from pathlib import Path

from pipeline.exporters.keras2_file import functional, write_keras2
from pipeline.exporters.layers import keras_layers
from pipeline.exporters.names import renamed_for_keras
from pipeline.graph.graph import Graph


def save_keras2_h5(path: str | Path, graph: Graph) -> None:
    """Write `graph` as a whole-model file of Keras 2; equal graphs give equal bytes.

    Layers have the names that `pipeline.exporters.names` gives them. The model is not compiled.
    The file is written atomically.

    Raises
    ------
    IncompatibleModelError
        If Keras 2 lacks a layer; names all of them.
    """
    graph = renamed_for_keras(graph, 2)
    write_keras2(path, graph.name, keras_layers(graph, 2), [end.name for end in graph.ends])


def keras2_model(graph: Graph) -> dict:
    """Return the configuration of a model of Keras 2, as ``model.to_json()`` would write it."""
    graph = renamed_for_keras(graph, 2)
    return functional(graph.name, keras_layers(graph, 2), [end.name for end in graph.ends])
