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
from pipeline.tracking.curves import read_curve
from pipeline.tracking.data_set import DataSet, data_set
from pipeline.tracking.figures import figures as figures_of

WIDTHS = ("input_weight_bits", "weight_bits", "activation_bits")
CURVES = {"training": files.TRAINING_CURVE, "registers": files.REGISTER_CURVE}
"""By name of a training: the table of its epochs."""
WITHOUT_EFFECT = ("evaluate.workers", "evaluate.engine")
"""Parameters that change how a result is computed, but not the result."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Record:
    """One run.

    Attributes
    ----------
    name : str
        Bit widths, target, model and data.
    params : dict of str to str
        Every value of params.yaml by its dotted name.
    metrics : dict of str to float
        Every metric of every stage as ``stage.metric``; `pipeline.tracking.figures` says what
        MLflow gets of them.
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
    curves : dict of str to list of (step, value)
        Metrics of the float training and of that of registers by epoch, as ``training/name`` and
        ``registers/name``.
    data : DataSet or None
        The images.
    tables : tuple of path
        CSV files that MLflow shows as tables.
    tags : dict of str to str
        ``export.<format>.sha256`` of each exported file; where a run is recorded,
        `pipeline.tracking.provenance` adds source, commit and user.
    """

    name: str
    params: dict[str, str]
    metrics: dict[str, float]
    artifacts: tuple[Path, ...]
    fingerprint: str
    program: Path | None = None
    refusal: str = ""
    warnings: tuple[str, ...] = ()
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    data: DataSet | None = None
    tables: tuple[Path, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def description(self) -> str:
        """What the run is, how good it is, and what to act on, in Markdown."""
        lines = [self.refusal] if self.refusal else [_sentence(self.metrics), *self.warnings]
        return "\n\n".join(filter(None, lines))

    @property
    def bits(self) -> str:
        """Bit widths of the first layer's weights, of other weights, and of activations."""
        return _bits(self.params)


def gather(root) -> Record:
    """Return the record of the run whose files are in `root`."""
    root = Path(root)
    values = OmegaConf.to_container(OmegaConf.load(root / files.PARAMS), resolve=True)
    params = text_params(flatten(values))
    figures = _figures(root)
    metrics = _numbers(figures)
    single = (
        files.PROGRAM,
        files.SUMMARY,
        files.ANALYSIS,
        files.ARCHITECTURE,
        files.PARAMS,
    )
    exported = _export_tags(root)
    folders = (files.METRICS, files.PLOTS, files.INPUT_DATA.parent)
    folders += (files.EXPORTS,) if exported else ()
    artifacts = [root / path for path in single if (root / path).is_file()]
    artifacts += [path for folder in folders for path in sorted((root / folder).glob("*"))]
    decisive = {key: value for key, value in params.items() if key not in WITHOUT_EFFECT}
    digest = hashlib.sha256(json.dumps([decisive, metrics], sort_keys=True).encode())
    digest.update((root / files.PROGRAM).read_bytes())
    return Record(
        name=run_name(params),
        params=params,
        metrics=metrics,
        artifacts=tuple(artifacts),
        fingerprint=digest.hexdigest(),
        program=root / files.PROGRAM,
        warnings=tuple(_warnings(figures)),
        curves={
            f"{folder}/{name}": curve
            for folder, path in CURVES.items()
            for name, curve in read_curve(root / path).items()
        },
        data=data_set(params, _hashes(root / files.INPUT_DATA), metrics),
        tables=tuple(path for path in (root / files.LAYERS,) if path.is_file()),
        tags=exported,
    )


def measured(root) -> dict[str, float]:
    """Return every metric of every stage of the run in `root`, as ``stage.metric``."""
    return _numbers(_figures(Path(root)))


def _figures(root: Path) -> dict:
    found = sorted((root / files.METRICS).glob("*.json"))
    return {path.stem: files.read_json(path) for path in found}


def _numbers(figures: Mapping) -> dict[str, float]:
    leaves = flatten(figures)
    return {key: float(value) for key, value in leaves if isinstance(value, int | float)}


def _export_tags(root) -> dict[str, str]:
    if not (root / files.EXPORTED).is_file():
        return {}
    index = files.read_json(root / files.EXPORTED)
    return {f"export.{name}.sha256": found["sha256"] for name, found in index.items()}


def run_name(params: Mapping[str, str]) -> str:
    """Return the name of a run: its bit widths, target, model and data.

    What differs most often comes first, since MLflow cuts names in its list.
    """
    parts = (_bits(params), params["target.name"], model_name(params), params.get("data.name", ""))
    return " ".join(filter(None, parts))


def model_name(params: Mapping[str, str]) -> str:
    """Return the model's name: the configured one, or that of its file."""
    name = params.get("model.name", "null")
    path = params.get("model.path", "null")
    return name if name != "null" or path == "null" else Path(path).stem


def _bits(params: Mapping[str, str]) -> str:
    return "/".join(params[f"quantization.{key}"] for key in WIDTHS)


def _hashes(path) -> dict:
    return files.read_json(path) if path.is_file() else {}


def _sentence(metrics) -> str:
    found = figures_of(metrics)
    parts = []
    if "accuracy" in found:
        parts.append(f"accuracy {found['accuracy']:.4f}")
    if "loss_to_float" in found:
        loss = found["loss_to_float"]
        parts.append(f"{abs(loss):.4f} {'below' if loss >= 0 else 'above'} float")
    if "mean_absolute_error" in found:
        parts.append(f"mean absolute error {found['mean_absolute_error']:.4g}")
    if "weight_kib" in found:
        parts.append(f"{found['weight_kib']:.1f} KiB of weights")
    if found.get("over_limits"):
        parts.append(f"{found['over_limits']:.0f} limits of the chip exceeded")
    return ", ".join(parts)


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
