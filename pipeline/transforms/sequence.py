"""Apply the configured transforms in order, and measure what each one changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pipeline.errors import ConfigError, ModelError
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.graph.macs import count_macs
from pipeline.transforms.gap_after_relu import gap_after_relu
from pipeline.transforms.rewrite import Rewrite
from pipeline.transforms.unfuse_separable import unfuse_separable

TRANSFORMS: dict[str, Callable[[Graph, Any], Rewrite]] = {
    "unfuse_separable": unfuse_separable,
    "gap_after_relu": gap_after_relu,
}
TOLERANCE = 1e-3
"""Of the largest output: far above the float32 rounding of a reordered sum."""


def apply(graph: Graph, options: Any, samples: np.ndarray) -> tuple[Graph, dict[str, dict]]:
    """Return the transformed graph and a report.

    Parameters
    ----------
    graph : Graph
    options : object with ``names`` and ``gap.strategy``
        The configuration's section ``transforms``.
    samples : array of shape (n, height, width, channels)
        Images on which the model before and after each transform is compared.

    Returns
    -------
    Graph
    dict of str to dict
        For each transform: ``changed`` (layers), ``equivalent``, ``max_abs_difference`` and
        ``agreement`` (share of samples with the same largest output) on `samples`,
        ``added_parameters``, ``added_macs``.

    Raises
    ------
    ConfigError
        For an unknown transform.
    IncompatibleModelError
        When a transform cannot serve its purpose on this model.
    ModelError
        When a transform that should be equivalent is not.
    """
    unknown = [name for name in options.names if name not in TRANSFORMS]
    if unknown:
        raise ConfigError(
            f"transforms.names: found '{unknown[0]}'; allowed: {', '.join(TRANSFORMS)}"
        )
    report: dict[str, dict] = {}
    before = forward(graph, samples) if options.names else None
    for name in options.names:
        rewrite = TRANSFORMS[name](graph, options)
        after = forward(rewrite.graph, samples) if rewrite.changed else before
        report[name] = _measure(name, graph, rewrite, before, after)
        graph, before = rewrite.graph, after
    return graph, report


def _measure(name, graph, rewrite, before, after) -> dict:
    difference = float(np.max(np.abs(after - before), initial=0))
    largest = float(np.max(np.abs(before), initial=1))
    # Written so that a difference which is not a number is refused as well.
    if rewrite.equivalent and not difference <= TOLERANCE * largest:
        raise ModelError(
            f"{graph.name}: the transform {name} changed the output by {difference:.3g} (largest"
            f" output {largest:.3g}) though it must not; weights may be out of float32's range"
        )
    classes = before.reshape(len(before), -1).argmax(axis=1)
    agreement = np.mean(classes == after.reshape(len(after), -1).argmax(axis=1))
    return {
        "changed": list(rewrite.changed),
        "equivalent": rewrite.equivalent,
        "max_abs_difference": difference,
        "agreement": float(agreement),
        "added_parameters": rewrite.graph.parameters - graph.parameters,
        "added_macs": sum(count_macs(rewrite.graph).values()) - sum(count_macs(graph).values()),
    }
