"""One comparison, as a worker process runs it."""

from __future__ import annotations

import importlib
from collections.abc import Iterable

from conformance.exports import models
from pipeline.errors import CrossgradeError

SOURCES = ("random", "zoo", "given", "trained")
Task = tuple[str, str, int, int, int]
"""Format, source of the model, seed and count of random networks, and number in the source."""


def tasks(name: str, sources: Iterable[str], seed: int, count: int) -> list[Task]:
    """Return the tasks of a run."""
    return [
        (name, source, seed, count, index)
        for source in sources
        for index in range(len(_all(name, source, seed, count)))
    ]


def run_task(task: Task) -> tuple[str, dict]:
    """Return the label of a model and the result of its comparison."""
    name, source, seed, count, index = task
    label, make = _all(name, source, seed, count)[index]
    try:
        case = make()
    except CrossgradeError as error:
        return label, {"status": "unusable", "why": str(error)}
    return label, importlib.import_module(f"conformance.exports.{name}").examine(case)


def _all(name, source, seed, count):
    made = {
        "random": lambda: models.random_models(seed, count),
        "zoo": models.zoo_models,
        "given": lambda: [*models.given_models(), *_legacy(name)],
        "trained": models.trained_models,
    }
    return list(made[source]())


def _legacy(name):
    """Return the reference files of Akida 1.0's scheme, which QuantizeML does not read."""
    return models.given_models("cnn2snn") if name == "onnx" else ()
