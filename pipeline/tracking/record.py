"""Collect parameters, metrics and artifacts of one pipeline run from its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from omegaconf import OmegaConf

from pipeline import files
from pipeline.messages.notes import SATURATION, Note

HEADLINES = (
    "accuracy",
    "effective_macs",
    "energy_proxy",
    "macs",
    "mean_absolute_error",
    "weight_bytes",
)
WITHOUT_EFFECT = ("evaluate.workers", "evaluate.engine")
"""Parameters that change how a result is computed, but not the result."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Record:
    """One run.

    Attributes
    ----------
    name : str
        Model, target and bit widths.
    params : dict of str to str
        Every value of params.yaml by its dotted name.
    metrics : dict of str to float
        Every metric of every stage as ``stage.metric``. The headline metrics come first, also
        without their stage: user interfaces show the first metric.
    artifacts : tuple of path
        The program, its summary, metrics and plots.
    fingerprint : str
        Equal for runs with equal parameters, metrics and program.
    program : path or None
        The program among the artifacts.
    refusal : str
        Why there is no result.
    warnings : tuple of str
        What a user should act on, of every stage; and what saturated, with its verdict.
    tags : mapping of str to str
        SHA-256 of each exported file, as ``export.<format>.sha256``.
    """

    name: str
    params: dict[str, str]
    metrics: dict[str, float]
    artifacts: tuple[Path, ...]
    fingerprint: str
    program: Path | None = None
    refusal: str = ""
    warnings: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


def gather(root) -> Record:
    """Return the record of the run whose files are in `root`."""
    root = Path(root)
    values = OmegaConf.to_container(OmegaConf.load(root / files.PARAMS), resolve=True)
    params = text_params(flatten(values))
    figures = {
        path.stem: files.read_json(path) for path in sorted((root / files.METRICS).glob("*.json"))
    }
    metrics = {
        key: float(value) for key, value in flatten(figures) if isinstance(value, int | float)
    }
    single = (files.PROGRAM, files.SUMMARY, files.ARCHITECTURE, files.PARAMS)
    tags = _export_tags(root)
    folders = (files.METRICS, files.PLOTS, files.INPUT_DATA.parent)
    folders += (files.EXPORTS,) if tags else ()
    artifacts = [root / path for path in single if (root / path).is_file()]
    artifacts += [path for folder in folders for path in sorted((root / folder).glob("*"))]
    short = {name: metrics.get(f"evaluate.{name}") for name in HEADLINES}
    metrics = {name: value for name, value in short.items() if value is not None} | metrics
    decisive = {key: value for key, value in params.items() if key not in WITHOUT_EFFECT}
    digest = hashlib.sha256(json.dumps([decisive, metrics], sort_keys=True).encode())
    digest.update((root / files.PROGRAM).read_bytes())
    bits = "/".join(
        params[f"quantization.{key}"]
        for key in ("input_weight_bits", "weight_bits", "activation_bits")
    )
    return Record(
        name=f"{params.get('model.name', 'model')} {params['target.name']} {bits}",
        params=params,
        metrics=metrics,
        artifacts=tuple(artifacts),
        fingerprint=digest.hexdigest(),
        program=root / files.PROGRAM,
        warnings=tuple(_warnings(figures)),
        tags=tags,
    )


def _export_tags(root) -> dict[str, str]:
    if not (root / files.EXPORTED).is_file():
        return {}
    exported = files.read_json(root / files.EXPORTED)
    return {f"export.{name}.sha256": found["sha256"] for name, found in exported.items()}


def _warnings(figures) -> Iterator[str]:
    for stage in figures.values():
        for note in map(Note.from_json, stage.get("notes", ())):
            if note.is_warning or note.kind == SATURATION:
                yield f"{note.level}: {note.text}"


def text_params(leaves) -> dict[str, str]:
    """Convert dotted names and values to the strings that records store."""
    return {key: "null" if value is None else str(value) for key, value in leaves}


def flatten(values, prefix="") -> Iterator[tuple[str, object]]:
    """Yield the dotted name and the value of every leaf of nested mappings and lists."""
    if isinstance(values, Mapping):
        items = values.items()
    elif isinstance(values, list) and any(isinstance(v, list | Mapping) for v in values):
        items = enumerate(values)
    else:
        yield prefix, values
        return
    for key, value in items:
        yield from flatten(value, f"{prefix}.{key}" if prefix else str(key))
