"""Verify that a written model file reads back as the same model."""

from __future__ import annotations

import numpy as np

from pipeline.errors import ModelError
from pipeline.exporters.names import renaming_note
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.migration.compare import APPROXIMATE, equivalence
from pipeline.models.file import read_float

IMAGES = 8


def read_back(path, graph: Graph, samples: np.ndarray) -> None:
    """Compare the outputs of the model in a file with those of `graph`.

    Parameters
    ----------
    path : path-like
        A model file that was just written.
    graph : Graph
        The model that was written.
    samples : array of shape (n, *input shape)

    Raises
    ------
    ModelError
        If they differ by more than float rounding, or Keras refuses a name in the file.
    """
    expected, again = forward(graph, samples[:IMAGES]), read_float(path)
    if note := renaming_note(again, path.suffix):
        raise ModelError(f"{path}: would not load in Keras ({note}); nothing was kept")
    found = forward(again, samples[:IMAGES])
    largest = float(np.max(np.abs(expected), initial=0))
    if found.size == expected.size:
        difference = float(np.max(np.abs(found.reshape(expected.shape) - expected), initial=0))
        if equivalence(difference, largest, True) != APPROXIMATE:
            return
    raise ModelError(
        f"{path}: reads back as another model than the one written; nothing was kept; please"
        " report this model"
    )
