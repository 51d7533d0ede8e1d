"""Read the bytes of an ONNX file; the only place that knows the package `onnx`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import ModelError
from pipeline.importers.onnx.external import external_bytes
from pipeline.importers.onnx.model import OnnxInput, OnnxModel, OnnxNode, plain_name
from pipeline.packages import require
from simulator.malformed import MALFORMED, brief

MOST_BYTES, MOST_NODES, MOST_AXES = 1 << 30, 16384, 8
OPSETS = range(7, 23)
OWN_DOMAINS = ("", "ai.onnx")


def read_onnx(path: Path) -> OnnxModel:
    """Return what is in a file, not interpreted.

    Raises
    ------
    ModelError
        When the package is not installed, or the file is too large, damaged, of an opset that is
        not known, or holds what is no plain graph of tensors.
    """
    return read_with_message(path)[0]


def read_with_message(path: Path) -> tuple[OnnxModel, Any]:
    """Return what is in a file, and its ``onnx.ModelProto``, which holds all weights itself.

    The nodes of both have the same order. Errors are those of `read_onnx`.
    """
    onnx = import_onnx(path)
    if path.stat().st_size > MOST_BYTES:
        raise ModelError(f"{path}: has more than {MOST_BYTES >> 20} MiB; allowed: smaller files")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    # Its class depends on how protobuf was built.
    except Exception as error:
        raise ModelError(f"{path}: it is damaged, or no ONNX file") from error
    try:
        return _Reader(onnx, path).model(model), model
    except ModelError:
        raise
    except MALFORMED as error:
        raise ModelError(f"{path}: it is damaged, or no ONNX file ({brief(error)})") from error


def plain(message, path) -> OnnxModel:
    """Return what is in an ``onnx.ModelProto``; `path` is the name of its file."""
    return _Reader(import_onnx(path), Path(path)).model(message)


def import_onnx(path):
    """Return the package `onnx`.

    Raises
    ------
    MissingPackageError
        When it is not installed.
    """
    require("onnx", str(path))
    import onnx
    import onnx.numpy_helper

    return onnx


class _Reader:
    def __init__(self, onnx, path):
        self.onnx, self.path = onnx, path
        self.bytes_left = MOST_BYTES

    def model(self, proto) -> OnnxModel:
        graph = proto.graph
        if not graph.node or not graph.output:
            raise ModelError(f"{self.path}: it is damaged, or no ONNX file: it has no graph")
        if len(graph.node) > MOST_NODES:
            raise ModelError(f"{self.path}: has {len(graph.node)} nodes; allowed: {MOST_NODES}")
        if len(proto.functions):
            raise ModelError(
                f"{self.path}: holds functions of its own; write them out with onnx.inliner first"
            )
        if len(graph.sparse_initializer):
            raise ModelError(f"{self.path}: holds sparse weights; allowed: dense ones")
        opset = self._opset(proto)
        constants = {_text(tensor.name): self._array(tensor) for tensor in graph.initializer}
        inputs = [self._input(entry) for entry in graph.input if _text(entry.name) not in constants]
        return OnnxModel(
            name=_text(graph.name),
            label=str(self.path),
            opset=opset,
            nodes=tuple(self._nodes(graph)),
            constants=constants,
            inputs=tuple(inputs),
            outputs=tuple(_text(entry.name) for entry in graph.output),
        )

    def _opset(self, proto) -> int:
        found = [entry.version for entry in proto.opset_import if entry.domain in OWN_DOMAINS]
        if len(found) != 1 or found[0] not in OPSETS:
            raise ModelError(
                f"{self.path}: its operators are of opset {', '.join(map(str, found)) or 'none'};"
                f" allowed: {OPSETS[0]} to {OPSETS[-1]}; export it with opset_version=17"
            )
        return found[0]

    def _input(self, entry) -> OnnxInput:
        kind = entry.type.tensor_type
        known = entry.type.WhichOneof("value") == "tensor_type" and kind.HasField("shape")
        if not known or len(kind.shape.dim) > MOST_AXES:
            raise ModelError(
                f"{self.path}: its input {entry.name} is no tensor of known rank; export it again"
            )
        sizes = [dim.dim_value if dim.HasField("dim_value") else 0 for dim in kind.shape.dim]
        name = self.onnx.TensorProto.DataType.Name(kind.elem_type)
        shape = tuple(size if size > 0 else None for size in sizes)
        return OnnxInput(name=entry.name, dtype=_DTYPES.get(name, name.lower()), shape=shape)

    def _nodes(self, graph) -> Iterator[OnnxNode]:
        used: set[str] = set()
        for node in graph.node:
            inputs = tuple(_text(name) for name in (*node.input, *inner_reads(node)))
            outputs = tuple(map(_text, node.output))
            own = node.domain in OWN_DOMAINS
            op = _text(node.op_type) if own else f"{node.domain}.{node.op_type}"
            name = _unique(
                plain_name(_text(node.name)) or f"{op}_{next(filter(None, outputs), '')}", used
            )
            if not name.isprintable() or "\\" in name or len(name) > 1024:
                raise ModelError(f"{self.path}: {name[:80]!r} is no name; allowed: printable text")
            attrs = {
                _text(entry.name): self._attribute(name, op, entry) for entry in node.attribute
            }
            yield OnnxNode(name=name, op=op, inputs=inputs, outputs=outputs, attrs=attrs)

    def _attribute(self, node, op, entry) -> Any:
        if entry.ref_attr_name:
            raise ModelError(f"{self.path}: {node} ({op}): {entry.name} refers to a function")
        try:
            value = self.onnx.helper.get_attribute_value(entry)
        except ValueError as error:
            raise ModelError(f"{self.path}: {node} ({op}): {entry.name} is damaged") from error
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        if isinstance(value, self.onnx.TensorProto):
            return self._array(value)
        if isinstance(value, int | float):
            return value
        if hasattr(value, "__len__") and all(isinstance(item, int | float) for item in value):
            return tuple(value)
        return Unread(type(value).__name__)

    def _array(self, tensor) -> np.ndarray:
        name = tensor.name[:80]
        if len(tensor.dims) > MOST_AXES or any(size < 0 for size in tensor.dims):
            raise ModelError(f"{self.path}: the constant '{name}' has the shape {tensor.dims[:9]}")
        if tensor.data_location == self.onnx.TensorProto.EXTERNAL:
            entries = {entry.key: entry.value for entry in tensor.external_data}
            content = external_bytes(self.path, name, entries, self.bytes_left)
            self.bytes_left -= len(content)
            tensor.raw_data, tensor.data_location = content, self.onnx.TensorProto.DEFAULT
        try:
            return self.onnx.numpy_helper.to_array(tensor)
        # Whatever numpy says about lengths and types that do not fit.
        except Exception as error:
            raise ModelError(
                f"{self.path}: the constant '{name}' is damaged: its values do not fit its shape"
                " or type"
            ) from error


def inner_reads(node) -> Iterator[str]:
    """Yield the tensors that the graphs inside a node of a file read from outside."""
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            own = {value.name for value in (*graph.input, *graph.initializer)}
            own.update(name for inner in graph.node for name in inner.output)
            read = [value.name for value in graph.output]
            for inner in graph.node:
                read += [*filter(None, inner.input), *inner_reads(inner)]
            yield from (name for name in read if name not in own)


class Unread(str):
    """An attribute that no operator here has: a graph, a list of texts..."""


_DTYPES = {"FLOAT": "float32", "DOUBLE": "float64", "UINT8": "uint8", "FLOAT16": "float16"}


def _text(value) -> str:
    """Return a text; protobuf hands on the bytes of what is none."""
    if not isinstance(value, str):
        raise TypeError("a name is no text")
    return value


def _unique(name, used):
    unique, number = name, 1
    while unique in used:
        unique, number = f"{name}_{number}", number + 1
    used.add(unique)
    return unique
