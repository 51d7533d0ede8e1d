"""Compare the outputs of all layers of two models, and find where they first differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.analysis.outputs import FLOATS, Outputs
from pipeline.errors import DataError, ModelError
from pipeline.transforms.sequence import TOLERANCE

BATCH = 32


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The first value of a layer that differs.

    Attributes
    ----------
    image : int
    index : tuple of int
        Place in the layer's output for that image.
    a, b : int or float
    """

    image: int
    index: tuple[int, ...]
    a: float
    b: float


@dataclass(frozen=True, kw_only=True)
class LayerComparison:
    """A layer that both models have.

    Attributes
    ----------
    name, type : str
    values : int
        Compared values, over all images.
    differ : int
        How many of them are different.
    largest : float
        Largest absolute difference.
    first : Difference or None
    """

    name: str
    type: str
    values: int
    differ: int
    largest: float
    first: Difference | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All layers of two models.

    Attributes
    ----------
    images : int
    layers : tuple of LayerComparison
        In the order of the first model.
    only_a, only_b : tuple of str
        Layers without a counterpart of the same name.
    tolerance : float or None
        Of two float models: differences up to this share of a layer's largest output are rounding.
    """

    images: int
    layers: tuple[LayerComparison, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    tolerance: float | None

    @property
    def first(self) -> LayerComparison | None:
        """The first layer with a difference."""
        return next((layer for layer in self.layers if layer.differ), None)


def compare(
    a: Outputs,
    b: Outputs,
    images: np.ndarray | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Return where the outputs of two models differ.

    Integers are compared by equality, float models by the tolerance of reordered float32 sums.

    Parameters
    ----------
    a, b : Outputs
        Of the same kind.
    images : array of shape (n, ...), optional
        Inputs; needed where a model is run.
    progress : function of (images done, images in all), optional

    Raises
    ------
    ModelError
        If one is a float model and the other has integers, or no layer has the same name.
    DataError
        If images are missing, or their number is not that of stored outputs, or layers have
        different sizes; lists all of them.
    """
    if a.kind != b.kind:
        raise ModelError(
            f"{a.title} has {a.kind}, {b.title} has {b.kind}: rounding makes all their layers"
            " differ; 'crossgrade analyze' measures by how much"
        )
    count = _count(a, b, images)
    common = [name for name in a.layers if name in b.layers]
    if not common:
        raise ModelError(f"{a.title} and {b.title} have no layer of the same name")
    tolerance = TOLERANCE if a.kind == FLOATS else None
    found = {name: _Layer(name, a.layers[name] or b.layers[name]) for name in common}
    for start in range(0, count, BATCH):
        part = slice(start, min(start + BATCH, count))
        left, right = (side.batch(images, part) for side in (a, b))
        _check_sizes(left, right, common)
        for name in common:
            found[name].add(left[name], right[name], start, tolerance)
        if progress is not None:
            progress(part.stop, count)
    return Comparison(
        images=count,
        layers=tuple(layer.result() for layer in found.values()),
        only_a=tuple(name for name in a.layers if name not in b.layers),
        only_b=tuple(name for name in b.layers if name not in a.layers),
        tolerance=tolerance,
    )


def _count(a: Outputs, b: Outputs, images) -> int:
    counts = {side.title: side.count for side in (a, b) if side.count is not None}
    if images is not None:
        counts["the images"] = len(images)
    elif len(counts) < 2:
        running = next(side.title for side in (a, b) if side.count is None)
        raise DataError(f"{running} is to be run; give images to run it on")
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name}: {count}" for name, count in counts.items())
        raise DataError(f"different numbers of images: {listed}; give the same ones")
    count = next(iter(counts.values()))
    if not count:
        raise DataError("found no images; give at least one")
    return count


def _check_sizes(left, right, common) -> None:
    wrong = [
        f"{name}: {left[name].shape[1:]} and {right[name].shape[1:]}"
        for name in common
        if left[name].size != right[name].size
    ]
    if wrong:
        raise DataError(f"layers of the same name have different shapes: {'; '.join(wrong)}")


class _Layer:
    """What is known of a layer after some batches."""

    def __init__(self, name: str, kind: str):
        self.name, self.kind = name, kind
        self.values = self.differ = 0
        self.largest = 0.0
        self.first: Difference | None = None

    def add(self, a: np.ndarray, b: np.ndarray, start: int, tolerance: float | None) -> None:
        """Compare one batch, whose first image is number `start`."""
        shape = a.shape
        b = b.reshape(shape)
        self.values += a.size
        wrong = _different(a, b, tolerance)
        count = int(np.count_nonzero(wrong))
        if not count:
            return
        self.differ += count
        gaps = np.abs(a[wrong].astype(np.float64) - b[wrong].astype(np.float64))
        self.largest = max(self.largest, float(np.nan_to_num(gaps, nan=np.inf).max()))
        if self.first is None:
            image, *index = (int(n) for n in np.unravel_index(int(np.argmax(wrong)), shape))
            place = (image, *index)
            self.first = Difference(
                image=start + image, index=tuple(index), a=a[place].item(), b=b[place].item()
            )

    def result(self) -> LayerComparison:
        return LayerComparison(
            name=self.name,
            type=self.kind,
            values=self.values,
            differ=self.differ,
            largest=self.largest,
            first=self.first,
        )


def _different(a, b, tolerance) -> np.ndarray:
    """Return where two arrays differ; two NaNs are equal."""
    if tolerance is None:
        if a.dtype.kind != "f" and b.dtype.kind != "f":
            return a != b
        return (a != b) & ~(np.isnan(a) & np.isnan(b))
    limit = tolerance * max(float(np.abs(a).max()), np.finfo(np.float32).tiny)
    return ~((np.abs(a - b) <= limit) | (np.isnan(a) & np.isnan(b)))
