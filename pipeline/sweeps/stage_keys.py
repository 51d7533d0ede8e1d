"""Keys of stages: equal where a stage does the same work, in any workspace."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import yaml

from pipeline.files import tree_hash


def stage_keys(folder, values: Mapping) -> dict[str, str]:
    """Return a key for each stage of ``dvc.yaml`` in `folder`, derived from its dependencies.

    What a stage that always runs writes is left out: it follows from the user's files, which are
    the same for all points, and not from the parameters that the stage only checks.

    Parameters
    ----------
    folder : path-like
        Holds ``dvc.yaml`` and the code.
    values : mapping
        A composed configuration.
    """
    folder = Path(folder)
    stages = yaml.safe_load((folder / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    makers = {path: name for name, stage in stages.items() for path in _outputs(stage)}
    always = {name for name, stage in stages.items() if stage.get("always_changed")}
    keys: dict[str, str] = {}

    def key(name: str) -> str:
        if name not in keys:
            stage = stages[name]
            parts = [stage["cmd"], [_value(values, dotted) for dotted in stage.get("params", [])]]
            for path in stage.get("deps", []):
                made = path in makers
                if made and makers[path] in always:
                    continue
                parts.append([path, key(makers[path]) if made else tree_hash(folder / path)])
            keys[name] = _digest(json.dumps(parts, sort_keys=True).encode())
        return keys[name]

    return {name: key(name) for name in stages}


def _outputs(stage: Mapping) -> list[str]:
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in stage.get(kind, [])]
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def _value(values: Mapping, dotted: str):
    for part in dotted.split("."):
        values = values[part]
    return values


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
