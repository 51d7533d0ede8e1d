"""Measure what each width of each layer costs: ``crossgrade.sensitivity``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.steps.python import step
from pipeline.steps.reading import as_float, as_typed
from pipeline.steps.scoring import as_classes, as_images, called

HELD_OUT = 5
"""One sample in so many, the last ones, is measured on where no images are given."""


class Sensitivity:
    """What each width of each single layer costs.

    Attributes
    ----------
    sensitivities : pipeline.analysis.sensitivity.Sensitivities
        ``entries`` in the model's order, ``ranked`` those that lose most first, ``refused`` widths
        that the chip does not take in this model.
    notes : tuple of Note
        How the model was read.
    """

    def __init__(self, sensitivities: Any, notes: Iterable = ()):
        self.sensitivities, self.notes = sensitivities, tuple(notes)

    def __repr__(self) -> str:
        found = self.sensitivities
        return f"<Sensitivity {found.model!r} on {found.target}: {len(found.entries)} widths>"

    def text(self) -> str:
        """Return a table of the widths, those that lose most first."""
        from pipeline.analysis.sensitivity_table import sensitivity_table

        return sensitivity_table(self.sensitivities)

    def summary(self) -> None:
        """Print the table."""
        print(self.text())

    def as_dict(self) -> dict:
        """Return the sensitivities as JSON values."""
        return asdict(self.sensitivities)

    def save(self, path: Any) -> None:
        """Write one page with a picture (``.html``)."""
        from pipeline.analysis.page import sensitivity_page
        from pipeline.files import write_text

        write_text(path, sensitivity_page(self.sensitivities))


@step
def sensitivity(
    model: Any,
    samples: Any,
    x: Any = None,
    y: Any = None,
    *,
    target: str = "akida_v2",
    input_dtype: str = "auto",
    backend: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> Sensitivity:
    """Measure what fewer bits cost in each single layer, all others having the widest.

    The loss is the Kullback-Leibler divergence of the classes' probabilities from the float
    model's; for outputs that are no classes, the error's power over their variance.

    Parameters
    ----------
    model : path-like, str, mapping, Keras model or FloatModel
        As in `crossgrade.read`.
    samples : array of shape (n, *input shape) or path of a .npy file
        Calibration images.
    x : array of shape (n, *input shape) or path, optional
        Images to measure on; by default the last fifth of the samples, which are then not
        calibrated on.
    y : int array of shape (n,) or path, optional
        Classes of `x`, for accuracies.
    target : str
        Name of the chip, whose layers have the widths.
    input_dtype : {"auto", "uint8", "int8", "float32"}
        As in `crossgrade.quantize`.
    backend : {"auto", "fast", "numpy", "reference"}
        How the emulator computes; the integers are the same.
    progress : function of (widths done, widths in all), optional

    Returns
    -------
    Sensitivity

    Raises
    ------
    ConfigError
        If there are labels and no images.
    DataError
        If images or labels do not fit the model.
    """
    return measured(prepared(model, samples, x, y, target, input_dtype), backend, progress)


@dataclass(frozen=True, eq=False, kw_only=True)
class Prepared:
    """A model whose widths are measured.

    Attributes
    ----------
    variants : pipeline.analysis.variants.Variants
    images : array of shape (n, *input shape)
        To measure on.
    labels : int array of shape (n,) or None
    notes : tuple of Note
    """

    variants: Any
    images: np.ndarray
    labels: np.ndarray | None
    notes: tuple


def prepared(model, samples, x, y, target: str, input_dtype: str) -> Prepared:
    """Return a model with its images, or raise; arguments as in `sensitivity`."""
    from pipeline.analysis.variants import variants
    from pipeline.config import Calibration, Quantization
    from pipeline.errors import ConfigError
    from pipeline.messages.settings import setting
    from pipeline.quantization.samples import check_samples

    if y is not None and x is None:
        images, labels = setting("measuring.images"), setting("measuring.labels")
        raise ConfigError(f"{labels}: belong to images; give {images} as well")
    calibration = as_images(samples, "the samples")
    name = called(samples, "the samples")
    found = as_typed(as_float(model), input_dtype, calibration, name)
    if x is None:
        count = max(len(calibration) // HELD_OUT, 1)
        calibration, images = calibration[:-count], calibration[-count:]
    else:
        images = as_images(x, "x")
    graph = found.graph
    images = check_samples(graph, images, name if x is None else called(x, "x"))
    labels = as_classes(y, graph, images)
    options = Quantization(calibration=Calibration(samples=len(calibration)))
    made = variants(graph, calibration, options, target)
    return Prepared(variants=made, images=images, labels=labels, notes=found.notes)


def measured(given: Prepared, backend: str, progress=None) -> Sensitivity:
    """Return the sensitivities of a prepared model."""
    from pipeline.analysis.sensitivity import measure

    found = measure(given.variants, given.images, given.labels, backend=backend, progress=progress)
    return Sensitivity(found, given.notes)
