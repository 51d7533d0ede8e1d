"""Apply the configured transforms in order, and measure the effect of each."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.accuracy import accuracy, check_accuracy_drop, classes_of
from pipeline.errors import ConfigError, ModelError
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.graph.macs import count_macs
from pipeline.messages.settings import setting
from pipeline.transforms.images import Images
from pipeline.transforms.rewrite import Rewrite
from pipeline.transforms.table import TRANSFORMS

TOLERANCE = 1e-3
"""Tolerance relative to the largest output: far above the float32 rounding of a reordered sum."""


def apply(
    graph: Graph,
    options: Any,
    samples: np.ndarray,
    images: Images | None = None,
    *,
    images_stay: bool = False,
) -> tuple[Graph, dict[str, dict]]:
    """Return the transformed graph and a report.

    Parameters
    ----------
    graph : Graph
    options : object with ``names``, ``gap`` and ``max_accuracy_drop``
        The configuration's section ``transforms``.
    samples : array of shape (n, height, width, channels)
        Images on which the model before and after each transform is compared.
    images : Images, optional
        For recalibration, tuning and accuracy; by default `samples` without labels.
    images_stay : bool
        True to leave out transforms that need other images and without which the emulator runs the
        model.

    Returns
    -------
    Graph
    dict of str to dict
        For each transform: ``changed`` (layers), ``equivalent``, ``calibrated``,
        ``max_abs_difference`` and
        ``agreement`` (share of samples with the same class; not for a regression) on `samples`,
        ``added_parameters``, ``added_macs``, ``feeding`` where images change, the transform's own
        details and, if there are test labels and something changed, ``accuracy_before`` and
        ``accuracy_after``.

    Raises
    ------
    ConfigError
        If a transform is unknown, or ``max_accuracy_drop`` is set for a regression.
    IncompatibleModelError
        If a transform cannot be applied to this model.
    ModelError
        If an equivalent transform changes outputs, or if the transforms lose more accuracy than
        ``max_accuracy_drop``. Without labels, the share of samples whose class changed is used,
        which is an upper bound of the loss.
    """
    unknown = [name for name in options.names if name not in TRANSFORMS]
    if unknown:
        raise ConfigError(
            f"{setting('transforms.names')}: found '{unknown[0]}'; allowed: {', '.join(TRANSFORMS)}"
        )
    images = images or Images(images=samples)
    if images.are_numbers and options.max_accuracy_drop is not None:
        raise ConfigError(
            f"{setting('transforms.max_accuracy_drop')}: found {options.max_accuracy_drop}; the"
            " labels are numbers to estimate, which have no accuracy; allowed: null"
        )
    report: dict[str, dict] = {}
    first = before = forward(graph, samples) if options.names else None
    score = start = None
    for name in options.names:
        rewrite = TRANSFORMS[name](graph, options, images)
        if images_stay and rewrite.feeding and not rewrite.feeding.reshapes:
            rewrite = Rewrite(graph=graph, changed=())
        test = images.test_images, images.test_labels
        samples, images = rewrite.feeding(samples), images.fed(rewrite.feeding)
        after = forward(rewrite.graph, samples) if rewrite.changed else before
        report[name] = _measure(name, graph, rewrite, before, after, images.are_numbers)
        if rewrite.changed and images.has_test:
            score = accuracy(graph, *test) if score is None else score
            start = score if start is None else start
            report[name]["accuracy_before"] = score
            test = images.test_images, images.test_labels
            report[name]["accuracy_after"] = score = accuracy(rewrite.graph, *test)
        graph, before = rewrite.graph, after
    if options.names and options.max_accuracy_drop is not None:
        drop = (start, score) if start is not None else (1.0, _agreement(graph, first, before))
        check_accuracy_drop(*drop, options.max_accuracy_drop)
    return graph, report


def _agreement(graph, before, after) -> float:
    return float(np.mean(classes_of(graph, before) == classes_of(graph, after)))


def _measure(name, graph, rewrite, before, after, are_numbers) -> dict:
    difference = float(np.max(np.abs(after - before), initial=0))
    largest = float(np.max(np.abs(before), initial=1))
    # Written so that a difference which is not a number is refused as well.
    meant = rewrite.equivalent and not rewrite.calibrated
    if meant and not difference <= TOLERANCE * largest:
        raise ModelError(
            f"{graph.name}: the transform {name} changed the output by {difference:.3g} (largest"
            f" output {largest:.3g}) though it must not; weights may be out of float32's range"
        )
    return {
        "changed": list(rewrite.changed),
        "equivalent": rewrite.equivalent,
        "calibrated": rewrite.calibrated,
        "max_abs_difference": difference,
        **({} if are_numbers else {"agreement": _agreement(graph, before, after)}),
        "added_parameters": rewrite.graph.parameters - graph.parameters,
        "added_macs": sum(count_macs(rewrite.graph).values()) - sum(count_macs(graph).values()),
        **({"feeding": rewrite.feeding.as_list()} if rewrite.feeding else {}),
        **rewrite.details,
    }
