"""Compare the outputs of all layers of two models, and find where they first differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.analysis.layer_pairs import LayerPair, layer_pairs
from pipeline.analysis.outputs import FLOATS, Outputs
from pipeline.errors import CrossgradeError, DataError, ModelError
from pipeline.messages.settings import setting
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
        The name ``a / b`` is that of an output which the models call differently.
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
class OtherShape:
    """A layer that has another shape in each model, whose values have no counterpart.

    Attributes
    ----------
    name : str
    a, b : tuple of int
        Shapes of one output.
    """

    name: str
    a: tuple[int, ...]
    b: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All layers of two models.

    Attributes
    ----------
    images : int
    layers : tuple of LayerComparison
        In the order of the first model.
    only_a, only_b : tuple of str
        Layers without a counterpart.
    other_shapes : tuple of OtherShape
        Layers of one name that cannot be compared.
    outputs_equal : bool or None
        True if no output of the models differs; None if some output was not compared.
    tolerance : float or None
        Of two float models: differences up to this share of a layer's largest output are rounding.
    """

    images: int
    layers: tuple[LayerComparison, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    other_shapes: tuple[OtherShape, ...]
    outputs_equal: bool | None
    tolerance: float | None

    @property
    def first(self) -> LayerComparison | None:
        """The first layer with a difference."""
        return next((layer for layer in self.layers if layer.differ), None)

    @property
    def equal(self) -> bool:
        """True if no layer that both have differs, in its values or its shape."""
        return self.first is None and not self.other_shapes


def compare(
    a: Outputs,
    b: Outputs,
    images: np.ndarray | None = None,
    progress: Callable[[int, int], None] | None = None,
    *,
    images_b: np.ndarray | None = None,
) -> Comparison:
    """Return where the outputs of two models differ.

    Integers are compared by equality, float models by the tolerance of reordered float32 sums.
    Layers are paired by name, outputs of the models also where their names differ.

    Parameters
    ----------
    a, b : Outputs
        Of the same kind.
    images : array of shape (n, ...), optional
        Inputs; needed where a model is run.
    progress : function of (images done, images in all), optional
    images_b : array of shape (n, ...), optional
        The same inputs for `b`, where it takes another shape or type.

    Raises
    ------
    ModelError
        If one is a float model and the other has integers, or no layer and no output can be
        compared.
    DataError
        If images are missing or do not fit, or their number is not that of stored outputs; lists
        all problems.
    """
    if a.kind != b.kind:
        raise ModelError(
            f"{a.title} has {a.kind}, {b.title} has {b.kind}: rounding makes all their layers"
            " differ; 'crossgrade analyze' measures by how much"
        )
    count = _count(a, b, images, images_b)
    inputs = _inputs(a, b, images, images_b)
    tolerance = TOLERANCE if a.kind == FLOATS else None
    found = [_Layer(pair) for pair in layer_pairs(a, b)]
    for start in range(0, count, BATCH):
        part = slice(start, min(start + BATCH, count))
        sides = zip((a, b), inputs, strict=True)
        left, right = (side.batch(given, part) for side, given in sides)
        for layer in found:
            layer.add(left[layer.pair.a], right[layer.pair.b], start, tolerance)
        if progress is not None:
            progress(part.stop, count)
    return _comparison(a, b, found, count, tolerance)


def _comparison(a, b, found, count, tolerance) -> Comparison:
    compared = [layer for layer in found if layer.other_shape is None]
    others = tuple(layer.other_shape for layer in found if layer.other_shape is not None)
    if not compared:
        listed = "; ".join(f"{other.name}: {other.a} and {other.b}" for other in others)
        raise ModelError(
            f"{a.title} and {b.title} have no layer of the same name and shape"
            + (f" ({listed})" if listed else "")
        )
    ends = [layer for layer in compared if layer.pair.is_output]
    whole = ends and len(ends) == len(a.outputs) == len(b.outputs)
    return Comparison(
        images=count,
        layers=tuple(layer.result() for layer in compared),
        only_a=_missing(a.layers, {layer.pair.a for layer in found}),
        only_b=_missing(b.layers, {layer.pair.b for layer in found}),
        other_shapes=others,
        outputs_equal=not any(layer.differ for layer in ends) if whole else None,
        tolerance=tolerance,
    )


def _missing(layers, paired) -> tuple[str, ...]:
    return tuple(name for name in layers if name not in paired)


def _count(a: Outputs, b: Outputs, images, images_b) -> int:
    running = [side.title for side in (a, b) if side.count is None]
    if images is None and running:
        raise DataError(f"{running[0]} is to be run; give images to run it on")
    stored = [(side.title, side.count) for side in (a, b) if side.count is not None]
    given = [("the images", images), ("the images of B", images_b)]
    counts = stored + [(name, len(found)) for name, found in given if found is not None]
    if len({count for _, count in counts}) > 1:
        listed = ", ".join(f"{name}: {count}" for name, count in counts)
        raise DataError(f"different numbers of images: {listed}; give the same ones")
    count = counts[0][1]
    if not count:
        raise DataError("found no images; give at least one")
    return count


def _inputs(a: Outputs, b: Outputs, images, images_b) -> list[np.ndarray | None]:
    """Return the images of each model, in the type that it takes."""
    inputs, problems = [], []
    for side, given in ((a, images), (b, images if images_b is None else images_b)):
        try:
            inputs.append(None if given is None else side.check(given))
        except CrossgradeError as error:
            problems.append(str(error))
    if len(problems) == 1 and images_b is None and images is not None:
        problems.append(f"{setting('images_b')} gives B images of its own")
    if problems:
        raise DataError("; ".join(dict.fromkeys(problems)))
    return inputs


class _Layer:
    """What is known of a layer after some batches."""

    def __init__(self, pair: LayerPair):
        self.pair = pair
        self.other_shape: OtherShape | None = None
        self.values = self.differ = 0
        self.largest = 0.0
        self.first: Difference | None = None

    def add(self, a: np.ndarray, b: np.ndarray, start: int, tolerance: float | None) -> None:
        """Compare one batch, whose first image is number `start`."""
        shape = a.shape
        if not self.pair.fits(shape[1:], b.shape[1:]):
            self.other_shape = OtherShape(name=self.pair.name, a=shape[1:], b=b.shape[1:])
            return
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
            name=self.pair.name,
            type=self.pair.type,
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
