"""The certificate of a migration: transforms, samples and measured differences."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

import numpy as np

from pipeline.errors import DataError
from pipeline.files import file_sha256
from pipeline.graph.graph import Graph
from pipeline.graph.macs import count_macs
from pipeline.migration.migrate import Migration
from pipeline.models.file import origin
from pipeline.models.wanted import AS_IT_IS, Wanted

KIND, FORMAT = "crossgrade certificate", 1
NAME, PAGE = "certificate.json", "certificate.html"
SENTENCES = {
    "exact": "The migrated model computes the same, bit for bit, on every sample.",
    "float noise": "The migrated model computes the same; only float32 rounding differs.",
    "exact on the calibrated range": "The migrated model computes the same, up to float32"
    " rounding, while values stay in the range of the samples; beyond it they are clipped.",
    "approximate": "The migrated model computes something else; see the measured effect.",
}


def make_certificate(
    migration: Migration,
    *,
    model,
    output,
    folder,
    samples: dict,
    wanted: Wanted = AS_IT_IS,
    recovery: dict | None = None,
    images: Mapping | None = None,
    split: dict | None = None,
    written=None,
) -> dict:
    """Return the certificate as JSON values.

    Parameters
    ----------
    migration : Migration
    model, output : path-like
        The files of both models.
    folder : path-like
        Folder of the certificate; file names are stored relative to it.
    samples : dict
        Samples of the comparison, see `describe_samples`.
    wanted : Wanted
        What the user said about `model`.
    recovery : dict, optional
        What `pipeline.migration.recovery.compare_recovery` found, where `model` is quantized.
    images : mapping, optional
        What the migrated model takes: ``input_dtype`` with a reason, or ``pixels``, the scale and
        offset of `pipeline.migration.pixel_input`.
    split : dict, optional
        ``until``, and the layers of ``chip`` and ``host``, where `model` is cut in two.
    written : path-like, optional
        Temporary file with the content of `output`, before it is renamed.
    """
    content = {
        "kind": KIND,
        "format": FORMAT,
        "target": migration.target,
        "verdict": {
            "compatibility": migration.check_after.verdict,
            "fits_hardware_limits": migration.check_after.fits_chip,
            "equivalence": migration.equivalence,
            "sentence": SENTENCES[migration.equivalence],
        },
        "input": {
            **_file(model, model, folder, migration.before),
            "quantized_by": origin(model, wanted),
            "recovery": recovery,
            **({"read_with": wanted.as_dict()} if wanted != AS_IT_IS else {}),
            **(images or {}),
        },
        "output": _file(output, written or output, folder, migration.after),
        **({"split": split} if split else {}),
        **({"feeding": migration.feeding.as_list()} if migration.feeding else {}),
        "samples": samples,
        "outputs": migration.outputs,
        "transforms": list(migration.steps),
        "layers": migration.layers,
        "check_before": migration.check_before.as_dict(),
        "check_after": migration.check_after.as_dict(),
        "options": {
            "gap": asdict(migration.options.gap),
            "max_accuracy_drop": migration.options.max_accuracy_drop,
        },
        "versions": {
            "crossgrade": metadata.version("crossgrade"),
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }
    return {**content, "digest": digest(content)}


def describe_samples(images: np.ndarray, *, source, seed=None, labels=None, folder=".") -> dict:
    """Return a certificate's description of its samples.

    Parameters
    ----------
    images : array
    source : path-like or None
        Their file; None for noise made from `seed`.
    labels : array, optional
    folder : path-like
        Folder of the certificate.
    """
    found = {
        "source": "random" if source is None else "file",
        "count": len(images),
        "shape": list(images.shape[1:]),
        "dtype": str(images.dtype),
        "sha256": array_sha256(images),
        "labels_sha256": None if labels is None else array_sha256(labels),
    }
    if source is None:
        return {**found, "seed": seed}
    return {**found, "path": os.path.relpath(source, folder)}


def read_certificate(path) -> dict:
    """Return the content of a certificate, given as file or folder.

    Raises
    ------
    DataError
        If it is missing, damaged, not a certificate, or of an unknown format.
    """
    path = Path(path, NAME) if Path(path).is_dir() else Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file; give the certificate.json that migrate wrote")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        content = None
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise DataError(f"{path}: is no crossgrade certificate; give the one that migrate wrote")
    if content.get("format") != FORMAT:
        raise DataError(
            f"{path}: certificate format {content.get('format')}; this version reads {FORMAT}"
        )
    return content


def digest(content: dict) -> str:
    """Return the SHA-256 of a certificate's content, except its digest."""
    rest = {key: value for key, value in content.items() if key != "digest"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def array_sha256(array: np.ndarray) -> str:
    """Return the SHA-256 of an array's dtype, shape and values."""
    start = f"{array.dtype.str} {array.shape} ".encode()
    return hashlib.sha256(start + np.ascontiguousarray(array).tobytes()).hexdigest()


def _file(path, content, folder, graph: Graph) -> dict:
    return {
        "path": os.path.relpath(path, folder),
        "sha256": file_sha256(content),
        "bytes": Path(content).stat().st_size,
        "model": graph.name,
        "layers": len(graph.nodes) - 1,
        "parameters": graph.parameters,
        "macs": sum(count_macs(graph).values()),
    }
