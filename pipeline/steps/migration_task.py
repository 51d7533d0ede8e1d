"""Everything that a migration needs, read and checked before it begins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

import numpy as np

from pipeline.steps.migration_choices import Chosen
from pipeline.steps.scoring import as_array
from pipeline.steps.source import Source

HELD_OUT = 5
"""With a strategy that tunes on the images, one in this many is held out to measure."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Task:
    """A model and images, ready to be migrated.

    Attributes
    ----------
    source : Source
    wanted : Wanted
        What the user said about the file.
    target : str
    chosen : Chosen
    graph : Graph
        The model, of pixels where it reads pixels.
    cut : pipeline.host.split.Split or None
        Both parts, where the model ends before its end.
    tool : str or None
        The vendor's tool that quantized the file, if one did.
    pixels : dict or None
        Scale and offset by which the model now takes pixels.
    recovery : dict or None
        How a recovered model differs from its file.
    images, measured : array
        Images that both models are compared on; the same before they became pixels.
    classes : array or None
        Labels of `images`.
    others : tuple of array or None
        Images and labels to tune on.
    notes : tuple of Note
    """

    source: Source
    wanted: Any
    target: str
    chosen: Chosen
    graph: Any
    cut: Any
    tool: str | None
    pixels: dict | None
    recovery: dict | None
    images: np.ndarray
    measured: np.ndarray
    classes: np.ndarray | None
    others: tuple
    notes: tuple

    def run(self, progress=None):
        """Migrate; return a `pipeline.migration.Migration`.

        Parameters
        ----------
        progress : pipeline.progress.Progress, optional
            Called after each epoch of a training.

        Raises
        ------
        IncompatibleModelError
            With the largest part of the model that can be migrated.
        """
        from pipeline.errors import IncompatibleModelError
        from pipeline.host.proposal import with_proposal
        from pipeline.migration import migrate
        from pipeline.transforms import Images

        images, labels = self.others
        told = {} if progress is None else {"progress": progress}
        known = Images(
            images=images,
            labels=labels,
            test_images=self.images if self.classes is not None else None,
            test_labels=self.classes,
            **told,
        )
        settings = {"labels": self.classes, "calibration": known}
        try:
            options = self.chosen.transforms
            return migrate(self.graph, self.target, self.images, options, **settings)
        except IncompatibleModelError as error:
            raise with_proposal(error, self.source.path, self.wanted, self.target) from error


def prepare(model: Any, target: str, chosen: Chosen, wanted) -> Task:
    """Read a model and images, and check that they fit.

    Parameters
    ----------
    model : Source, path-like, Keras model or Graph
    target : str
    chosen : Chosen
    wanted : Wanted

    Raises
    ------
    ConfigError, DataError, ModelError
        If options lack others; if the model cannot be read, or a recovered one computes something
        else than its file; if images or labels do not fit it.
    """
    from pipeline.host.split import split
    from pipeline.models.file import origin

    chosen.check()
    source = Source.of(model)
    with source.named():
        graph = _read(source, wanted, target)
        cut, tool = split(source.path, wanted), origin(source.path, wanted)
    graph, pixels = _scaled(graph, tool, chosen)
    images, labels, notes = _samples(graph, chosen)
    given = images
    if tool is None and pixels is None and _reads_pixels(graph, images, chosen):
        graph, pixels, images = _as_pixels(graph, images, chosen)
    count = _measured(len(images), chosen)
    recovery = None if tool is None else _recovered(source, graph, images[:count], wanted, chosen)
    return Task(
        source=source,
        wanted=wanted,
        target=target,
        chosen=chosen,
        graph=graph,
        cut=cut,
        tool=tool,
        pixels=pixels,
        recovery=recovery,
        images=images[:count],
        measured=(images if chosen.samples is None else given)[:count],
        classes=None if labels is None else labels[:count],
        others=_others(images, labels, count, chosen),
        notes=(*graph.notes, *notes),
    )


def _read(source: Source, wanted, target: str):
    from pipeline.errors import ModelError
    from pipeline.host.proposal import with_proposal
    from pipeline.models.file import read_float

    try:
        return read_float(source.path, wanted)
    except ModelError as error:
        raise with_proposal(error, source.path, wanted, target) from error


def _scaled(graph, tool: str | None, chosen: Chosen):
    """Return the model of the pixels that its images were made of, and how; None if not asked."""
    from pipeline.errors import ConfigError
    from pipeline.messages.settings import setting
    from pipeline.migration.pixel_input import with_pixel_input

    if chosen.input_scale is None:
        return graph, None
    if tool is not None:
        raise ConfigError(
            f"{setting('input_scale')}: is for float models; a quantized file has its scale"
        )
    pixels = {"scale": chosen.input_scale, "offset": chosen.input_offset or 0.0}
    return with_pixel_input(graph, **pixels), pixels


def _reads_pixels(graph, images, chosen: Chosen) -> bool:
    from pipeline.migration.pixel_input import reads_pixels

    given = images if chosen.samples is not None else None
    return not chosen.float_input and reads_pixels(graph, given)


def _as_pixels(graph, images, chosen: Chosen):
    """Return the model of pixels, its scale, and the images as pixels."""
    from pipeline.migration.pixel_input import as_pixels

    graph = as_pixels(graph)
    images = _samples(graph, chosen)[0] if chosen.samples is None else np.uint8(images)
    return graph, {}, images


def _samples(graph, chosen: Chosen) -> tuple[np.ndarray, np.ndarray | None, Iterable]:
    """Return the user's images and labels, or noise and None; and notes on their scale."""
    from pipeline.data.labels import check_labels
    from pipeline.graph.image_scale import expected_range, input_notes
    from pipeline.migration.recovery import RANDOM, SEED
    from pipeline.preparation.verification import random_images
    from pipeline.quantization.samples import check_samples

    if chosen.samples is None:
        return random_images(graph, RANDOM, SEED), None, ()
    name = _name(chosen.samples, "samples")
    images = check_samples(graph, as_array(chosen.samples), name)
    notes = input_notes(images, expected_range(graph), name)
    if chosen.labels is None:
        return images, None, notes
    outputs = int(np.prod(graph.shapes[graph.output]))
    labels = check_labels(
        as_array(chosen.labels),
        name=_name(chosen.labels, "labels"),
        images=len(images),
        outputs=outputs,
    )
    return images, labels, notes


def _measured(count: int, chosen: Chosen) -> int:
    """Return how many images are measured on: not those that are tuned on."""
    most = chosen.num_samples
    return min(most, max(1, count // HELD_OUT)) if chosen.tunes else most


def _others(images, labels, count: int, chosen: Chosen) -> tuple:
    first = count if chosen.tunes else 0
    return images[first:], None if labels is None else labels[first:]


def _recovered(source: Source, graph, images, wanted, chosen: Chosen) -> dict:
    """Return how a recovered model differs from its file, which is quantized as a whole."""
    from pipeline.migration.recovery import check_recovery, compare_recovery
    from pipeline.models.file import read_float

    whole = graph if not wanted.until else read_float(source.path, replace(wanted, until=()))
    found = compare_recovery(source.path, whole, images, noise=chosen.samples is None)
    check_recovery(source.name, found)
    return found


def _name(values, otherwise: str) -> str:
    return str(values) if isinstance(values, str | PathLike) else otherwise
