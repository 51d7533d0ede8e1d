"""Share of the enumeration that one process examines."""

from __future__ import annotations

import importlib
import itertools
import os
import tempfile
import warnings
from pathlib import Path

CASES_PER_PROCESS = 300


def _chosen(generation, group, every):
    """Return the requested Keras and its selected cases."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    from conformance.keras_options.cases import cases

    keras = importlib.import_module(generation)
    asked = (case for case in cases(keras) if group in (None, case.group))
    return keras, itertools.islice(asked, 0, None, every)


def count(generation: str, group: str | None, every: int) -> int:
    """Return the number of selected cases."""
    return sum(1 for _ in _chosen(generation, group, every)[1])


def run(generation: str, group: str | None, every: int, start: int) -> list[dict]:
    """Examine up to `CASES_PER_PROCESS` cases from `start` on; return one row per file."""
    keras, chosen = _chosen(generation, group, every)
    from conformance.keras_options.examine import examine

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in itertools.islice(chosen, start, start + CASES_PER_PROCESS):
            for suffix, (status, why) in examine(keras, case, Path(folder)).items():
                what = {"keras": generation, "file": suffix, "group": case.group}
                rows.append({**what, "what": case.what, "status": status, "why": why})
    return rows
