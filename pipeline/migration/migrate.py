"""Migrate a model to another chip: check, transform, verify, check again."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from pipeline.accuracy import check_accuracy_drop
from pipeline.chips.check import Report, check, repaired, repairs
from pipeline.chips.report import COMPATIBLE, INCOMPATIBLE
from pipeline.config.sections import Transforms
from pipeline.data.labels import check_labels
from pipeline.errors import IncompatibleModelError, ModelError
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.migration.compare import (
    CLASSES,
    compare_layers,
    compare_outputs,
    equivalence,
    outputs_of,
)
from pipeline.transforms import TRANSFORMS, Images, apply
from pipeline.transforms.feeding import AS_THEY_ARE, Feeding
from simulator.refusal import Refusal


@dataclass(frozen=True, eq=False, kw_only=True)
class Migration:
    """A migrated model, with the results of every step.

    Attributes
    ----------
    before, after : Graph
    target : str
    options : Transforms
    check_before, check_after : Report
    steps : tuple of dict
        One for each transform that changed the model: its name, its equivalence class, and the
        report of `pipeline.transforms.apply`.
    outputs : dict
        Comparison of the outputs of both models, see `pipeline.migration.compare`.
    layers : list of dict
        Every layer before and after, see `pipeline.migration.compare.compare_layers`.
    equivalence : str
        Equivalence class of the whole migration.
    feeding : Feeding
        How to change images of `before` for `after`, where it takes another shape.
    samples : array of shape (n, *input shape of `after`)
        The samples, changed so.
    """

    before: Graph
    after: Graph
    target: str
    options: Transforms
    check_before: Report
    check_after: Report
    steps: tuple[dict, ...]
    outputs: dict
    layers: list[dict]
    equivalence: str
    feeding: Feeding
    samples: np.ndarray


def migrate(
    graph: Graph,
    target: str,
    samples: np.ndarray,
    options: Transforms | None = None,
    *,
    labels: np.ndarray | None = None,
    calibration: Images | None = None,
) -> Migration:
    """Return a model that `target` can run, verified on images.

    Parameters
    ----------
    graph : Graph
    target : str
    samples : array of shape (n, *input shape)
        Samples on which both models are compared.
    options : Transforms
        ``gap``, ``max_accuracy_drop``, and in ``names`` transforms that are not automatic.
    labels : int array of shape (n,), optional
        Classes of `samples`, for accuracies.
    calibration : Images, optional
        Images on which transforms may recalibrate and tune; by default `samples`.

    Raises
    ------
    DataError
        If the labels are not classes of the model.
    IncompatibleModelError
        If no transform repairs some violation; lists all of them, before anything is computed.
    ModelError
        If an equivalent transform changed outputs, or the accuracy dropped too much.
    """
    options = options or Transforms()
    if labels is not None:
        outputs = math.prod(graph.shapes[graph.output])
        labels = check_labels(labels, name="labels", images=len(samples), outputs=outputs)
    images = calibration or Images(images=samples)
    first = check(graph, target)
    if first.verdict == INCOMPATIBLE and _beyond_repair(first, options):
        raise IncompatibleModelError(graph.name, _refusals(graph, first), f"migrate to {target}")
    new, fed, feeding, steps = graph, samples, AS_THEY_ARE, []
    for name in (*repairs(target), *options.names):
        if _changes(name, new):
            one = replace(options, names=(name,), max_accuracy_drop=None)
            new, report = apply(new, one, fed, images)
            report = report[name]
            step = Feeding.of(report.get("feeding", ()))
            fed, images, feeding = step(fed), images.fed(step), feeding + step
            largest = float(np.max(np.abs(forward(new, fed)), initial=0))
            meant = report["equivalent"], report["calibrated"]
            kind = equivalence(report["max_abs_difference"], largest, *meant)
            steps.append({"transform": name, "equivalence": kind, **report})
    last = check(new, target)
    if last.verdict != COMPATIBLE:
        raise IncompatibleModelError(graph.name, last.conversion, f"migrate to {target}")
    found = compare_outputs(outputs_of(graph, samples), outputs_of(new, fed), labels)
    meant = all(step["equivalence"] != CLASSES[-1] for step in steps)
    calibrated = any(step["calibrated"] for step in steps)
    total = equivalence(
        found["max_abs_difference"], found["largest_output"], meant, meant and calibrated
    )
    if meant and not calibrated and total == CLASSES[-1]:
        raise ModelError(
            f"{graph.name}: the transforms changed the output by {found['max_abs_difference']:.3g}"
            f" (largest {found['largest_output']:.3g}) though each is equivalent; weights may be"
            " out of float32's range"
        )
    scores = found.get("accuracy_before"), found.get("accuracy_after")
    check_accuracy_drop(
        *(scores if scores[0] is not None else (1.0, found["agreement"])),
        options.max_accuracy_drop,
    )
    return Migration(
        before=graph,
        after=new,
        target=target,
        options=options,
        check_before=first,
        check_after=last,
        steps=tuple(steps),
        outputs=found,
        layers=compare_layers(graph, new, samples, fed),
        equivalence=total,
        feeding=feeding,
        samples=fed,
    )


def _refusals(graph, report) -> list[Refusal]:
    """Return the refusals of a model; those of transforms are preferred, being more precise."""
    _, refusals, _ = repaired(graph, report.target)
    refused = {layer for refusal in refusals for layer in refusal.layers}
    rest = [found for found in report.refusals() if not refused.intersection(found.layers)]
    return list(dict.fromkeys([*refusals, *rest])) or [Refusal(found=n) for n in report.notes]


def _beyond_repair(report, options):
    """Return True if no strategy for moving the pooling repairs the remaining violations."""
    left = [violation for violation in report.conversion if not violation.fixable]
    moved = options.gap.strategy != "exact"
    return not (moved and left and all(v.transform == "gap_after_relu" for v in left))


def _changes(name, graph) -> bool:
    try:
        return bool(TRANSFORMS[name](graph).changed)
    except IncompatibleModelError:
        return True  # with the user's options it may apply; otherwise its refusal has the reason
