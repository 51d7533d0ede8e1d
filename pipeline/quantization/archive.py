"""Save and load an integer model as one file: registers as arrays, the rest as JSON."""

from __future__ import annotations

import numpy as np

from pipeline.errors import ModelError
from pipeline.messages.notes import Note
from pipeline.quantization.quantized_graph import Format, QuantizedGraph, QuantizedNode
from simulator.archive import ArchiveError, read_archive, write_archive
from simulator.malformed import MALFORMED, brief

KIND = "quantized model"
MOST_BITS = 64
"""Wider than any register; a damaged width would make integers that fill the memory."""


def save_quantized(path, graph: QuantizedGraph) -> None:
    """Write an integer model to `path`; equal models give equal bytes."""
    arrays: dict[str, np.ndarray] = {}
    nodes = []
    for node in graph.nodes:
        arrays |= {f"{node.name}/{key}": value for key, value in node.registers.items()}
        arrays |= _format_arrays(f"{node.name}/format", node.format)
        if node.sums is not None:
            arrays |= _format_arrays(f"{node.name}/sums", node.sums)
        if node.rate is not None:
            arrays[f"{node.name}/rate"] = np.asarray(node.rate, np.float32)
        nodes.append(
            {
                "name": node.name,
                "op": node.op,
                "inputs": node.inputs,
                "attrs": dict(node.attrs),
                "bits": dict(node.bits),
                "registers": sorted(node.registers),
                "value_bits": node.format.value_bits,
                "shape": node.shape,
                **({} if node.sums is None else {"sums_value_bits": node.sums.value_bits}),
            }
        )
    header = {
        "kind": KIND,
        "name": graph.name,
        "scheme": graph.scheme,
        "output": graph.output,
        "notes": [note.as_dict() for note in graph.notes],
        "nodes": nodes,
    }
    write_archive(path, header, arrays)


def load_quantized(path) -> QuantizedGraph:
    """Read an integer model.

    Raises
    ------
    ModelError
        If the file is missing, damaged or of another kind.
    """
    try:
        header, arrays = read_archive(path, KIND)
        return QuantizedGraph(
            name=header["name"],
            scheme=header["scheme"],
            nodes=tuple(_node(entry, arrays) for entry in header["nodes"]),
            output=header["output"],
            notes=tuple(map(Note.from_json, header["notes"])),
        )
    except ArchiveError as error:
        raise ModelError(str(error)) from error
    except MALFORMED as error:
        reason = f"{type(error).__name__}: {brief(error)}"
        raise ModelError(f"{path}: damaged {KIND} ({reason}); quantize again") from error


def _node(entry, arrays) -> QuantizedNode:
    name = entry["name"]
    for width in (entry["value_bits"], *entry["bits"].values()):
        if not 0 <= width <= MOST_BITS:
            raise ValueError(f"{name} has a width of {brief(width)} bits")
    return QuantizedNode(
        name=name,
        op=entry["op"],
        inputs=tuple(entry["inputs"]),
        attrs={key: _tuples(value) for key, value in entry["attrs"].items()},
        registers={key: arrays[f"{name}/{key}"] for key in entry["registers"]},
        bits=entry["bits"],
        format=_format(f"{name}/format", entry["value_bits"], arrays),
        shape=tuple(entry["shape"]),
        sums=_format(f"{name}/sums", entry["sums_value_bits"], arrays)
        if "sums_value_bits" in entry
        else None,
        rate=arrays.get(f"{name}/rate"),
    )


def _format_arrays(key: str, given: Format) -> dict[str, np.ndarray]:
    arrays = {f"{key}.frac_bits": np.asarray(given.frac_bits, np.int64)}
    if given.scales is not None:
        arrays[f"{key}.scales"] = np.asarray(given.scales, np.float32)
    return arrays


def _format(key: str, value_bits: int, arrays) -> Format:
    frac_bits, scales = arrays[f"{key}.frac_bits"], arrays.get(f"{key}.scales")
    return Format(value_bits=value_bits, frac_bits=frac_bits, scales=scales)


def _tuples(value):
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
