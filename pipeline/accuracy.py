"""How often a model is right."""

from __future__ import annotations

import numpy as np

from pipeline.errors import ModelError
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph


def classify(outputs: np.ndarray) -> np.ndarray:
    """Return the index of the largest output of each image, the first one of equals."""
    return outputs.reshape(len(outputs), -1).argmax(axis=1)


def accuracy(graph: Graph, images: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of `images` that the float model puts into the right class."""
    return float(np.mean(classify(forward(graph, images)) == labels))


def check_accuracy_drop(before: float, after: float, allowed: float | None) -> None:
    """Refuse transforms that lose more accuracy than ``transforms.max_accuracy_drop``.

    Raises
    ------
    ModelError
        With both accuracies.
    """
    if allowed is not None and before - after > allowed:
        raise ModelError(
            f"transforms: accuracy fell from {before:.4f} to {after:.4f}; "
            f"transforms.max_accuracy_drop allows {allowed}; use transforms.gap.strategy=exact, "
            "or raise the limit"
        )
