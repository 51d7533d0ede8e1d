"""Everything that a migration needs, read and checked before it begins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any

import numpy as np

from pipeline.steps.migration_choices import Chosen
from pipeline.steps.scoring import as_array, as_images
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
    certified : dict
        What the certificate says about the images that the model takes.
    takes : str
        The same in words; empty where there was no choice.
    recovery : dict or None
        How a recovered model differs from its file.
    images, measured : array
        Images that both models are compared on, in the type of the model's input; the same as the
        user gave them.
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
    certified: dict
    takes: str
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
    given = None if chosen.samples is None else as_images(chosen.samples, "the samples")
    graph, certified, takes = _typed(graph, tool, chosen, given)
    images, labels, notes = _samples(graph, chosen, given)
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
        certified=certified,
        takes=takes,
        recovery=recovery,
        images=images[:count],
        measured=(images if given is None else given)[:count],
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


def _typed(graph, tool: str | None, chosen: Chosen, given) -> tuple[Any, dict, str]:
    """Return the model of the images that it takes; which those are, in a certificate and in words.

    A quantized file says itself what it takes.
    """
    from pipeline.errors import ConfigError
    from pipeline.messages.settings import setting
    from pipeline.migration.pixel_input import pixels_sentence, with_pixel_input
    from pipeline.models.input_dtype import AUTO, choose_input_dtype, with_input_dtype

    settings = (("input_scale", chosen.input_scale is not None),)
    settings += (("model.input_dtype", chosen.input_dtype != AUTO),)
    if tool is not None:
        if wrong := [setting(name) for name, is_given in settings if is_given]:
            what = "is for float models; a quantized file says what it takes"
            raise ConfigError(f"{', '.join(wrong)}: {what}")
        return graph, {}, ""
    if chosen.input_scale is not None:
        pixels = {"scale": chosen.input_scale, "offset": chosen.input_offset or 0.0}
        return with_pixel_input(graph, **pixels), {"pixels": pixels}, pixels_sentence(**pixels)
    found = choose_input_dtype(
        graph, chosen.input_dtype, given, _name(chosen.samples, "the array of samples")
    )
    certified = {"input_dtype": {"dtype": found.dtype, "reason": found.reason}}
    return with_input_dtype(graph, found.dtype), certified, str(found) if found.reason else ""


def _samples(graph, chosen: Chosen, given) -> tuple[np.ndarray, np.ndarray | None, Iterable]:
    """Return the user's images and labels, or noise and None; and notes on their scale."""
    from pipeline.data.labels import check_labels
    from pipeline.graph.image_scale import expected_range, input_notes
    from pipeline.migration.recovery import RANDOM, SEED
    from pipeline.preparation.verification import random_images
    from pipeline.quantization.samples import check_samples

    if given is None:
        return random_images(graph, RANDOM, SEED), None, ()
    name = _name(chosen.samples, "samples")
    images = check_samples(graph, given, name)
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
