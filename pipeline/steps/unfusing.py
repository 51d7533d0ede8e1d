"""Split separable convolutions: ``crossgrade.unfuse``, and the command's work."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.steps.float_model import FloatModel
from pipeline.steps.python import step
from pipeline.steps.reading import as_float

IMAGES = 16
"""Random images on which both models are compared."""


@step
def unfuse(model: Any) -> FloatModel:
    """Replace every SeparableConv2D by a DepthwiseConv2D and a 1x1 Conv2D, as Akida 2.0 needs it.

    Like ``unfuse_sepconv2d`` of akida_models, but for layers at any position, and verified: outputs
    before and after are compared on random images.

    Parameters
    ----------
    model : path-like, str, mapping, Keras model or FloatModel
        As in `crossgrade.read`.

    Returns
    -------
    FloatModel

    Raises
    ------
    ModelError
        If the outputs change by more than float32 rounding.
    """
    from pipeline.preparation.verification import random_images

    before = as_float(model)
    rewrite = unfused(before.graph, before.name)
    difference(before.name, before.graph, rewrite.graph, random_images(before.graph, IMAGES))
    return FloatModel(rewrite.graph, before.notes)


def unfused(graph, label):
    """Return the `Rewrite` without separable convolutions.

    Raises
    ------
    ModelError
        If the model has the activations of cnn2snn.
    """
    from pipeline.errors import ModelError
    from pipeline.transforms.exact.unfuse_separable import unfuse_separable

    if any(node.op == "QuantizedReLU" for node in graph.nodes):
        raise ModelError(
            f"{label}: was quantized by cnn2snn; use 'crossgrade migrate', which recovers a"
            " float model and splits its separable convolutions"
        )
    return unfuse_separable(graph)


def difference(label, before, after, images: np.ndarray) -> dict:
    """Return how far the outputs of two graphs differ, with the equivalence as ``kind``.

    Raises
    ------
    ModelError
        If they differ by more than float32 rounding.
    """
    from pipeline.errors import ModelError
    from pipeline.graph.forward import forward
    from pipeline.migration.compare import APPROXIMATE, compare_outputs, equivalence

    found = compare_outputs(forward(before, images), forward(after, images))
    kind = equivalence(found["max_abs_difference"], found["largest_output"], True)
    if kind == APPROXIMATE:
        raise ModelError(
            f"{label}: outputs would change by {found['max_abs_difference']:.3g}; weights may"
            " be out of float32's range; nothing was written"
        )
    return {**found, "kind": kind}
