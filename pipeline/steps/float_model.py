"""A float model, as Python code holds it."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

import numpy as np

from pipeline.steps.python import issue, step
from pipeline.steps.scoring import as_array, as_labels, fit
from pipeline.steps.source import Source

READ_BACK = 4
"""Random images on which a written file is compared with the model."""


class FloatModel:
    """A float model, which NumPy runs.

    Attributes
    ----------
    graph : pipeline.graph.graph.Graph
    notes : tuple of Note
        How it was read.
    """

    def __init__(self, graph: Any, notes: Iterable = (), source: Source | None = None):
        self.graph, self.notes, self._source = graph, tuple(notes), source

    def __repr__(self) -> str:
        image = self.graph.input.attrs
        shape = ", ".join(map(str, image["shape"]))
        return f"<FloatModel {self.name!r}: ({shape}) {image['dtype']}>"

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.graph.name

    @property
    def source(self) -> Source:
        """The file that it was read from, or one that holds it."""
        if self._source is None:
            self._source = Source.of(self.graph)
        return self._source

    def summary(self) -> None:
        """Print layers, output shapes, parameters and multiply-accumulates (MACs)."""
        from pipeline.graph.describe import describe

        print(describe(self.graph))

    def predict(self, x: Any) -> np.ndarray:
        """Return the outputs for images.

        Images of another scale than the model expects give a warning.

        Parameters
        ----------
        x : array of shape (n, *input shape), or path of a .npy file

        Returns
        -------
        float32 array of shape (n, *output shape)

        Raises
        ------
        DataError
            If the images do not have the model's shape, dtype or range.
        """
        from pipeline.graph.forward import forward
        from pipeline.graph.image_scale import expected_range, input_notes
        from pipeline.quantization.samples import check_samples

        images = check_samples(self.graph, as_array(x), "images")
        issue(input_notes(images, expected_range(self.graph), "images"))
        return forward(self.graph, images)

    def evaluate(self, x: Any, y: Any) -> dict[str, float]:
        """Return how well outputs fit labels.

        Parameters
        ----------
        x : array of shape (n, *input shape), or path of a .npy file
        y : array or path
            Whole numbers are classes; floats are numbers to estimate.

        Returns
        -------
        dict
            ``accuracy``, or ``mean_absolute_error`` for numbers.
        """
        from pipeline.graph.logits import class_threshold

        outputs = self.predict(x)
        labels = as_labels(
            y, images=len(outputs), outputs=prod(self.graph.shapes[self.graph.output])
        )
        return fit(outputs, labels, class_threshold(self.graph))

    def save(self, path: Any) -> None:
        """Write the model, and read it back before the file gets its name.

        Parameters
        ----------
        path : path-like
            ``.h5`` is Keras 2 (what the vendor's tools load), ``.keras`` Keras 3, ``.onnx`` ONNX,
            ``.npz`` crossgrade's own.
        """
        from pipeline.migration.read_back import read_back
        from pipeline.models.file import write_float
        from pipeline.preparation.verification import random_images

        images = random_images(self.graph, READ_BACK)
        write_float(path, self.graph, lambda written: read_back(written, self.graph, images))

    @step
    def to_keras(self) -> Any:
        """Return the model as a Keras 3 model; this imports Keras."""
        from pipeline.graph.keras_io import to_keras

        return to_keras(self.graph)
