"""Split a model file: a part for the chip, which `Wanted.until` ends, and the rest for the host."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pipeline.errors import ConfigError, IncompatibleModelError, ModelError
from pipeline.files import file_sha256, write_bytes
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.host.rest_graph import also_read, ancestors, rest_graph
from pipeline.messages.lines import counted
from pipeline.messages.settings import setting
from pipeline.models.file import check_suffix, is_onnx, read_float, write_float
from pipeline.models.wanted import Wanted
from pipeline.preparation.head import cut_head
from pipeline.preparation.verification import random_images

ONNX, ARRAYS = ".onnx", ".npz"
IMAGES = 2


@dataclass(frozen=True, eq=False, kw_only=True)
class Split:
    """A model that is cut in two.

    Attributes
    ----------
    until : tuple of str
        Where it is cut.
    chip, host : tuple of str
        Layers of both parts, with their types.
    rest : Graph, bytes or None
        The part for the host: a graph, or an ONNX file; None where there is none.
    reason : str
        Why there is none.
    """

    until: tuple[str, ...]
    chip: tuple[str, ...]
    host: tuple[str, ...] = ()
    rest: Graph | bytes | None = None
    reason: str = ""


def split(path: Path, wanted: Wanted) -> Split | None:
    """Split the model in a file where `wanted` ends it; None where nothing follows.

    Raises
    ------
    ModelError
        When the first part cannot be read, or ends in a softmax or sigmoid, which the chip's
        program leaves out.
    """
    if not wanted.until:
        return None
    part = read_float(path, wanted)
    found = _split_onnx(path, wanted) if is_onnx(path) else _split_graph(path, wanted, part)
    if found is not None:
        _check_end(path, part)
    return found


def _check_end(path, part: Graph) -> None:
    for last, before in zip(part.ends, cut_head(part)[0].ends, strict=True):
        if last.name != before.name:
            raise ModelError(
                f"{path}: {last.name} ({last.op}) is computed on the host; end the model before it,"
                f" with {setting('model.until', before.name)}"
            )


def _split_onnx(path, wanted) -> Split | None:
    from pipeline.host.rest_onnx import cut_onnx

    cut = cut_onnx(Path(path), wanted)
    if not cut.outside:
        return None
    chip, host = (
        tuple(f"{node.name} ({node.op})" for node in part) for part in (cut.inside, cut.outside)
    )
    reason = _reads_more(wanted, cut.also)
    return Split(until=wanted.until, chip=chip, host=host, rest=cut.content or None, reason=reason)


def _split_graph(path, wanted, part: Graph) -> Split | None:
    ends = [node.name for node in part.ends]
    chip = _layers(part, set(part.by_name))
    try:
        whole = read_float(path, replace(wanted, until=()))
    except ModelError as error:
        return Split(until=wanted.until, chip=chip, reason=_unread(error, wanted))
    if not all(whole.shapes.get(name) == part.shapes[name] for name in ends):
        reason = f"the layers at {', '.join(wanted.until)} are merged with those that follow"
        return Split(until=wanted.until, chip=chip, reason=reason)
    inside = ancestors(whole, ends)
    host = _layers(whole, set(whole.by_name) - inside)
    if not host:
        return None
    if also := also_read(whole, ends):
        return Split(until=wanted.until, chip=chip, host=host, reason=_reads_more(wanted, also))
    rest = rest_graph(whole, ends)
    _check_parts(path, whole, part, rest)
    return Split(until=wanted.until, chip=chip, host=host, rest=rest)


def _layers(graph, names) -> tuple[str, ...]:
    return tuple(
        f"{node.name} ({node.op})"
        for node in graph.nodes
        if node.name in names and node.op not in ("Input", "Outputs")
    )


def _check_parts(path, whole, part, rest) -> None:
    """Raise if both parts do not compute what the whole model does, bit for bit."""
    images = random_images(whole, IMAGES)
    between = forward(part, images).reshape(IMAGES, *rest.shapes[rest.input.name])
    if not np.array_equal(forward(rest, between), forward(whole, images)):
        raise ModelError(f"{path}: its two parts compute something else than the whole model")


def _reads_more(wanted, also) -> str:
    if not also:
        return ""
    names = " ".join(setting("model.until", name) for name in also[:8])
    more = f" and {len(also) - 8} more" if len(also) > 8 else ""
    return (
        f"it also reads {', '.join(also[:8])}{more}: end the model there as well, with {names}, or"
        " where everything passes"
    )


def _unread(error, wanted) -> str:
    found = error.reasons if isinstance(error, IncompatibleModelError) else [str(error)]
    ends = ", ".join(f'model.get_layer("{name}").output' for name in wanted.until)
    return (
        f"{'; '.join(found)}; in Keras it is keras.Model({ends if len(wanted.until) < 2 else ''}"
        f"{f'[{ends}]' if len(wanted.until) > 1 else ''}, model.output), and takes what 'crossgrade"
        " simulate -o' writes"
    )


def rest_path(split: Split | None, output: Path, wanted: str | None = None) -> Path | None:
    """Return the file of the host's part: beside the migrated model, or where it is wanted.

    Returns
    -------
    Path or None
        None where there is no such part.

    Raises
    ------
    ConfigError
        When it is wanted and there is none.
    ModelError
        When the format of the wanted file cannot hold it.
    """
    if split is None or split.rest is None:
        if wanted:
            reason = split.reason if split else "nothing follows the end of the model"
            raise ConfigError(f"{wanted}: is not written: {reason}")
        return None
    if wanted:
        _check_rest(split, Path(wanted))
        return Path(wanted)
    suffix = ONNX if isinstance(split.rest, bytes) else _graph_suffix(split.rest, output.suffix)
    return output.with_name(f"{output.stem}_rest{suffix}")


def split_lines(split: Split | None, path: Path | None) -> list[str]:
    """Return lines on what runs where, for a terminal."""
    if split is None:
        return []
    count = f"{counted(len(split.chip), 'layer')} for the chip"
    if path is None:
        return [f"{count}; the rest is not written: {split.reason}"]
    return [f"{path}: {counted(len(split.host), 'layer')} for the host; {count}"]


def _graph_suffix(rest: Graph, wanted: str) -> str:
    """Return the suffix of the migrated model, or that of a graph where Keras lacks a layer."""
    from pipeline.exporters.layers import keras_layers
    from pipeline.exporters.names import VERSIONS

    if wanted in VERSIONS:
        try:
            keras_layers(rest, VERSIONS[wanted])
        except IncompatibleModelError:
            return ARRAYS
    return wanted


def _check_rest(split: Split, path: Path) -> None:
    if isinstance(split.rest, bytes):
        if path.suffix != ONNX:
            raise ModelError(f"{path}: the rest of an ONNX file is ONNX; end the name in {ONNX}")
        return
    check_suffix(path)
    if _graph_suffix(split.rest, path.suffix) != path.suffix:
        raise ModelError(f"{path}: Keras lacks a layer of the rest; end the name in {ARRAYS}")


def write_rest(split: Split, path: Path) -> None:
    """Write the host's part, whole or not at all."""
    if isinstance(split.rest, bytes):
        write_bytes(path, split.rest)
    else:
        write_float(path, split.rest, read_float)


def describe_split(split: Split, path: Path | None, folder) -> dict:
    """Return what runs where, as a certificate's JSON values.

    Parameters
    ----------
    split : Split
    path : Path or None
        The file of the host's part.
    folder : path-like
        Folder of the certificate.
    """
    host = {"layers": list(split.host), "reason": split.reason}
    if path is not None:
        host |= {"path": os.path.relpath(path, folder), "sha256": file_sha256(path)}
    return {"until": list(split.until), "chip": {"layers": list(split.chip)}, "host": host}
