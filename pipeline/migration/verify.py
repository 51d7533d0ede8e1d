"""Verify the files of a certificate by recomputing it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.chips.check import check
from pipeline.chips.report import COMPATIBLE
from pipeline.data.array_file import load_array
from pipeline.errors import CrossgradeError, DataError
from pipeline.files import file_sha256
from pipeline.migration.certificate import array_sha256, digest, read_certificate
from pipeline.migration.compare import CALIBRATED, CLASSES, compare_outputs, equivalence, outputs_of
from pipeline.migration.exports import KEY
from pipeline.migration.pixel_input import as_certified
from pipeline.models.file import read_float
from pipeline.models.wanted import Wanted
from pipeline.preparation.verification import random_images
from pipeline.quantization.samples import check_samples
from pipeline.transforms.feeding import Feeding
from pipeline.transforms.sequence import TOLERANCE
from simulator.malformed import MALFORMED, brief

MOST_RANDOM = 1024
"""More than `migrate` uses, so that a damaged count cannot exhaust memory."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Result of recomputing one entry.

    Attributes
    ----------
    what, detail : str
    good : bool
    """

    what: str
    good: bool
    detail: str


def verify(path, *, model=None, output=None, calibration=None) -> list[Finding]:
    """Recompute the entries of a certificate.

    Parameters
    ----------
    path : path-like
        A certificate, or its folder.
    model, output, calibration : path-like, optional
        The files, if they have moved.

    Returns
    -------
    list of Finding
        The certificate holds if all are good.

    Raises
    ------
    DataError
        If there is no such certificate, or it lacks an entry.
    """
    content = read_certificate(path)
    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    try:
        return _findings(content, folder, model, output, calibration)
    except CrossgradeError:
        raise
    except MALFORMED as error:
        reason = f"{type(error).__name__}: {brief(error)}"
        raise DataError(f"{path}: damaged certificate ({reason})") from error


def _findings(content, folder, model, output, calibration):
    whole = content.get("digest") == digest(content)
    findings = [
        Finding(
            what="certificate",
            good=whole,
            detail="unchanged" if whole else "its content was changed after it was written",
        )
    ]
    graphs = {}
    for key, given in (("input", model), ("output", output)):
        kept = os.path.normpath(folder / content[key]["path"])
        path = Path(given if given is not None else kept)
        wanted = Wanted.of(content[key].get("read_with", {}))
        finding, graphs[key] = _file(key, path, content[key]["sha256"], wanted)
        findings.append(finding)
    if found := content.get("split", {}).get("host", {}).get("sha256"):
        findings.append(_hashed("host's part", folder, content["split"]["host"]["path"], found))
    findings += list(_exports(content, folder))
    if None in graphs.values():
        return findings
    graphs["input"] = as_certified(graphs["input"], content["input"])
    findings.append(_compatibility(graphs["output"], content))
    findings.append(_outputs(graphs, content, folder, calibration))
    return findings


def _file(key, path, certified, wanted):
    what = f"{key} file {path}"
    if not os.path.isfile(path):
        return Finding(what=what, good=False, detail="no such file"), None
    found = file_sha256(path)
    detail = f"sha256 {found[:12]}..."
    if found != certified:
        detail = f"sha256 {found[:12]}..., certified {certified[:12]}...: another file"
    try:
        return Finding(what=what, good=found == certified, detail=detail), read_float(path, wanted)
    except CrossgradeError as error:
        return Finding(what=what, good=False, detail=str(error)), None


def _exports(content, folder) -> Iterator[Finding]:
    """Yield what is found of exported files, and of the quantized models that they hold."""
    for entry in content.get(KEY, ()):
        for what, file in ((entry["format"], entry), ("quantized", entry["quantized"])):
            path = Path(os.path.normpath(folder / file["path"]))
            if os.path.isfile(path):
                yield _hashed(f"{what} file", folder, file["path"], file["sha256"])
            else:
                yield Finding(what=f"{what} file {path}", good=True, detail="not here")


def _hashed(what, folder, kept, certified):
    path = Path(os.path.normpath(folder / kept))
    what = f"{what} {path}"
    if not os.path.isfile(path):
        return Finding(what=what, good=False, detail="no such file")
    found = file_sha256(path)
    detail = f"sha256 {found[:12]}..."
    if found != certified:
        detail += f", certified {certified[:12]}...: another file"
    return Finding(what=what, good=found == certified, detail=detail)


def _compatibility(graph, content):
    verdict = check(graph, content["target"]).verdict
    return Finding(
        what=f"rules of {content['target']}",
        good=verdict == COMPATIBLE == content["verdict"]["compatibility"],
        detail=f"{verdict}, certified {content['verdict']['compatibility']}",
    )


def _outputs(graphs, content, folder, calibration):
    images, same = _images(graphs["input"], content["samples"], folder, calibration)
    what = f"outputs on {len(images)} {'certified' if same else 'other, random'} samples"
    first, second = graphs["input"], graphs["output"]
    fed = Feeding.of(content.get("feeding", ()))(images)
    if fed.shape[1:] != second.shapes[second.input.name]:
        return Finding(what=what, good=False, detail="the models take different images")
    before, after = outputs_of(first, images), outputs_of(second, fed)
    if before.size != after.size:
        return Finding(what=what, good=False, detail="the models have outputs of different sizes")
    found = compare_outputs(before, after)
    difference, largest = found["max_abs_difference"], found["largest_output"]
    certified = content["verdict"]["equivalence"]
    elsewhere = certified == CALIBRATED and not same
    detail = (
        f"largest difference {difference:.3g}, certified"
        f" {content['outputs']['max_abs_difference']:.3g} ({certified})"
    )
    if certified == CLASSES[-1]:
        # Float sums may differ between machines; another model differs by far more.
        near = abs(difference - content["outputs"]["max_abs_difference"])
        good = not same or near <= TOLERANCE * max(largest, 1.0)
    else:
        # Outside the calibrated range nothing is certified.
        good = elsewhere or equivalence(difference, largest, True) != CLASSES[-1]
    return Finding(what=what, good=good, detail=detail)


def _images(graph, samples, folder, calibration):
    """Return the certified samples or else random ones, and True if they are the certified ones."""
    if samples["source"] == "random":
        if not 0 < int(samples["count"]) <= MOST_RANDOM:
            raise ValueError(f"{samples['count']} random samples")
        images = random_images(graph, samples["count"], samples["seed"])
        return images, array_sha256(images) == samples["sha256"]
    path = Path(calibration) if calibration is not None else folder / samples["path"]
    if os.path.isfile(path):
        images = load_array(path)[: samples["count"]]
        if array_sha256(images) == samples["sha256"]:
            return check_samples(graph, images, path), True
    if calibration is not None:
        raise DataError(f"{calibration}: not the samples that the certificate names")
    return random_images(graph, 16), False
