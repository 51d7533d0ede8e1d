"""Outputs of every layer of a model, program, trace or folder of golden vectors, in batches."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import DataError, ModelError
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.preparation.batchnorm import fold_batchnorm
from pipeline.preparation.head import cut_head
from pipeline.quantization.samples import check_samples
from simulator import Program, simulate
from simulator.archive import read_archive
from simulator.engine import check_images
from simulator.malformed import MALFORMED, brief

INTEGERS, FLOATS = "integers", "floats"
VECTORS, TRACE = "golden vectors", "trace"
MANIFEST = "manifest.json"
Batch = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False, kw_only=True)
class Outputs:
    """Outputs of layers, computed or stored.

    Attributes
    ----------
    title : str
        What it is, for users.
    kind : {"integers", "floats"}
    layers : dict of str to str
        Names and types of the layers, in order.
    outputs : tuple of str
        The layers whose outputs are those of the model, before a final softmax or sigmoid.
    batch : function of (images or None, slice) to dict
        Outputs of the images in the slice, by layer; slices follow each other.
    check : function of images to images
        Return images in the type that the model takes; raise an error if they do not fit it.
    count : int or None
        Stored images; None where images are computed.
    """

    title: str
    kind: str
    layers: dict[str, str]
    outputs: tuple[str, ...]
    batch: Callable[[np.ndarray | None, slice], Batch]
    check: Callable[[np.ndarray], np.ndarray] = np.asarray
    count: int | None = None


def of_program(program: Program) -> Outputs:
    """Return the outputs of a program, run on the emulator."""
    memory: dict[str, np.ndarray] = {}

    def batch(images, part) -> Batch:
        found: dict[str, list[np.ndarray]] = {}
        simulate(
            program,
            images[part],
            probe=lambda layer, values: found.setdefault(layer.name, []).append(values),
            memory=memory,
        )
        return {name: np.concatenate(parts) for name, parts in found.items()}

    layers = {layer.name: layer.type_label for layer in program.layers}
    return Outputs(
        title=f"{program.target} program {program.name}",
        kind=INTEGERS,
        layers=layers,
        outputs=(program.layers[-1].name,),
        batch=batch,
        check=lambda images: check_images(program, images),
    )


def of_graph(graph: Graph) -> Outputs:
    """Return the outputs of a float model; those of layers before a batch norm include it."""
    folded = fold_batchnorm(graph)
    if any(node.operation.temporal for node in graph.nodes):
        raise ModelError(f"{graph.name}: has temporal layers; compare its programs or traces")

    def batch(images, part) -> Batch:
        found: dict[str, list[np.ndarray]] = {}
        forward(
            folded,
            images[part],
            probe=lambda name, values: found.setdefault(name, []).append(values),
        )
        return {name: np.concatenate(parts) for name, parts in found.items()}

    layers = {node.name: node.op for node in folded.nodes if node.op != "Input"}
    return Outputs(
        title=f"float model {graph.name}",
        kind=FLOATS,
        layers=layers,
        outputs=tuple(node.name for node in cut_head(folded)[0].ends),
        batch=batch,
        check=lambda images: check_samples(graph, images, f"images for the model {graph.name}"),
    )


def of_trace(path) -> Outputs:
    """Return the outputs in a file of ``crossgrade simulate --trace``."""
    header, arrays = read_archive(path, TRACE)
    names = header.get("layers")
    if not isinstance(names, list) or set(names) != set(arrays) or not names:
        raise DataError(f"{path}: damaged trace: its layers and arrays differ; make it again")
    counts = {len(values) if values.ndim else 0 for values in arrays.values()}
    if len(counts) != 1:
        raise DataError(f"{path}: damaged trace: its layers have {sorted(counts)} images")
    return Outputs(
        title=f"trace {path}",
        kind=INTEGERS,
        layers=dict.fromkeys(names, ""),
        outputs=(names[-1],),
        batch=lambda images, part: {name: arrays[name][part] for name in names},
        count=counts.pop(),
    )


def of_vectors(folder) -> Outputs:
    """Return the outputs in a folder of golden vectors, by whomever its files were filled in.

    Digests in the manifest are those of the files as written first; they are not compared.

    Raises
    ------
    DataError
        If the manifest is damaged, or files are missing or of the wrong size; lists all.
    """
    folder = Path(folder)
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["kind"] != VECTORS:
            raise DataError(f"{folder}: its manifest is of kind {manifest['kind']!r}")
        entries = {entry["name"]: entry["output"] for entry in manifest["layers"]}
        types = {entry["name"]: entry["type"] for entry in manifest["layers"]}
        count = int(manifest["count"])
        files = {name: _array(folder, entry, count) for name, entry in entries.items()}
    except (OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{folder / MANIFEST}: not readable: {error}") from error
    except DataError:
        raise
    except MALFORMED as error:
        reason = f"{type(error).__name__}: {brief(error)}"
        raise DataError(f"{folder / MANIFEST}: damaged ({reason}); make it again") from error
    wrong = [problem for problem in files.values() if isinstance(problem, str)]
    if wrong:
        raise DataError("; ".join(wrong))
    return Outputs(
        title=f"golden vectors {folder}",
        kind=INTEGERS,
        layers=types,
        outputs=tuple(types)[-1:],
        batch=lambda images, part: {name: array[part] for name, array in files.items()},
        count=count,
    )


def _array(folder: Path, entry: dict, count: int) -> np.ndarray | str:
    """Return a file of golden vectors, mapped into memory, or what is wrong with it."""
    path = (folder / entry["file"]).resolve()
    if not path.is_relative_to(folder.resolve()):
        return f"{folder / MANIFEST}: names {entry['file']!r}, a file outside the folder"
    dtype = np.dtype(str(entry["dtype"])).newbyteorder("<")
    shape = tuple(int(n) for n in entry["shape"])
    if dtype.kind not in "iuf" or shape[0] != count or min(shape) < 1:
        return f"{path}: the manifest gives it dtype {entry['dtype']!r} and shape {shape}"
    wanted = int(np.prod(shape, dtype=object)) * dtype.itemsize
    size = path.stat().st_size if path.is_file() else None
    if size != wanted:
        found = "it is missing" if size is None else f"it has {size} bytes"
        return f"{path}: {found}; the manifest asks for {wanted}"
    return np.memmap(path, dtype, "r", shape=shape)
