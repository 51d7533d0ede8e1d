"""Paths of the artifacts, and atomic writing of small files."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.errors import DataError
from simulator.atomic_file import write_atomically

PARAMS = Path("params.yaml")
ARTIFACTS = Path("artifacts")
INPUT_DATA = ARTIFACTS / "inputs" / "data.json"
INPUT_MODEL = ARTIFACTS / "inputs" / "model.json"
GRAPH = ARTIFACTS / "graph.npz"
ARCHITECTURE = ARTIFACTS / "architecture.txt"
TRANSFORMED = ARTIFACTS / "transformed.npz"
QUANTIZED = ARTIFACTS / "quantized.npz"
PROGRAM = ARTIFACTS / "program.npz"
EXPORTS = ARTIFACTS / "exports"
EXPORTED = EXPORTS / "index.json"
SUMMARY = ARTIFACTS / "summary.txt"
SCORES = ARTIFACTS / "scores.json"
ANALYSIS = ARTIFACTS / "analysis.html"
TABLE = ARTIFACTS / "table.txt"
METRICS = ARTIFACTS / "metrics"
PLOTS = ARTIFACTS / "plots"
TRAINING_CURVE = PLOTS / "training.csv"
REGISTER_CURVE = PLOTS / "register_training.csv"
TRAINING_PICTURE = PLOTS / "training.png"
PREDICTIONS = PLOTS / "predictions.csv"
LAYERS = PLOTS / "layers.csv"
CONFUSION = PLOTS / "confusion.png"

PACKAGES = Path(__file__).resolve().parents[1]
"""The folder of the three rings: a checkout, or where Python installs packages."""


def home() -> Path:
    """Return the folder of the repository.

    DVC runs queued and temporary experiments in a copy that it removes, and names the repository
    in DVC_ROOT. The store of the runs, and files that git does not know, are only there.
    """
    return Path(os.environ.get("DVC_ROOT") or ".").resolve()


def shipped(name: str) -> Path:
    """Return the path of ``conf`` or ``dvc.yaml``: a wheel holds them, a checkout at its root."""
    packaged = PACKAGES / "pipeline" / "shipped"
    return (packaged if packaged.is_dir() else PACKAGES) / name


def metrics_path(stage: str) -> Path:
    """Return the path of a stage's metrics."""
    return METRICS / f"{stage}.json"


def file_sha256(path) -> str:
    """Return the SHA-256 of a file, in hexadecimal; the file is read in chunks."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tree_hash(*paths) -> str:
    """Return the SHA-256 of files and folders, by content and names, without byte code."""
    digest = hashlib.sha256()
    for path in map(Path, paths):
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                name = file.relative_to(path.parent).as_posix()
                digest.update(f"{name}\0{file_sha256(file)}\0".encode())
    return digest.hexdigest()


def write_bytes(path, content: bytes) -> None:
    """Write `content` to a temporary file next to `path`, then rename it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda file: file.write(content))


def write_text(path, text: str) -> None:
    """Write a text with one newline at its end."""
    write_bytes(path, (text.rstrip("\n") + "\n").encode())


def write_json(path, values: Mapping) -> None:
    """Write `values` as JSON; equal values give equal bytes."""
    write_text(path, json.dumps(values, indent=1, allow_nan=False))


def read_json(path) -> dict:
    """Return the content of a JSON file.

    Raises
    ------
    DataError
        If it is missing or damaged.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not readable ({error}); run 'dvc repro' to make it") from error


def write_csv(path, columns: Iterable[str], rows: Iterable[Iterable]) -> None:
    """Write a table with a header line."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_bytes(path, buffer.getvalue().encode())
