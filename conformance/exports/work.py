"""One comparison, as a worker process runs it."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass

from conformance import oracle
from conformance.exports.case import Make
from conformance.exports.files import field_models, given_models
from conformance.exports.random_models import random_models
from conformance.exports.trained import trained_models
from conformance.exports.zoo import zoo_models
from conformance.workers import Fault
from pipeline.errors import CrossgradeError

FORMATS = {
    "quantizeml": ("quantizeml",),
    "cnn2snn": ("cnn2snn",),
    "onnx": ("quantizeml", "cnn2snn"),
}
"""Formats, each with the schemes of the models that it is tried on."""
SOURCES = ("random", "zoo", "given", "trained", "field")


@dataclass(frozen=True)
class Task:
    """One model to export.

    Attributes
    ----------
    name : str
        Format.
    source : str
        One of `SOURCES`.
    seed, count : int
        Of the random networks.
    label : str
        Of the model in its source.
    """

    name: str
    source: str
    seed: int
    count: int
    label: str


def tasks(name: str, sources: Sequence[str], seed: int, count: int) -> list[Task]:
    """Return the tasks of a run."""
    return [
        Task(name, source, seed, count, label)
        for source in sources
        for label in _models(name, source, seed, count)
    ]


def run_task(task: Task) -> dict:
    """Return the result of a task's comparison, as built-in types.

    Returns
    -------
    dict
        ``source`` and ``label``; ``status`` is "equal", "inexact" (the reference's float32 cannot
        hold a sum), "mismatch", "refused" (the format does not hold the model) or "unusable" (the
        model itself cannot be quantized or has no program), and ``why``. Of a comparison also
        ``form``, "same" if the file is read as a program of the same registers, else "equivalent";
        and how many ``tensors``, ``values`` of these and ``outputs`` were compared.
    """
    if task.name == "quantizeml":
        # Models may be trained, after which TensorFlow takes no settings.
        oracle.prepare()
    make = _models(task.name, task.source, task.seed, task.count)[task.label]
    result = _result(task, "")
    try:
        case = make()
    except CrossgradeError as error:
        return {**result, "status": "unusable", "why": str(error)}
    examine = importlib.import_module(f"conformance.exports.{task.name}").examine
    return {**result, **examine(case)}


def faulty(task: Task, fault: Fault) -> dict:
    """Return the result of a task that ended in an unforeseen way: its status is "fault"."""
    return {**_result(task, fault.why), "status": "fault"}


def _result(task: Task, why: str) -> dict:
    return {"source": task.source, "label": task.label, "why": why}


def _models(name, source, seed, count) -> dict[str, Make]:
    found: dict[str, Make] = {}
    for scheme in FORMATS[name]:
        found |= _of_scheme(scheme, source, seed, count)
    return found


def _of_scheme(scheme, source, seed, count) -> dict[str, Make]:
    if source == "random":
        return random_models(seed, count) if scheme == "quantizeml" else {}
    if source == "field":
        return field_models() if scheme == "quantizeml" else {}
    return {"zoo": zoo_models, "given": given_models, "trained": trained_models}[source](scheme)
