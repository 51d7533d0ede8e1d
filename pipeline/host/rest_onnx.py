"""Cut the part of an ONNX file that the host computes after the chip."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.importers.onnx.file import import_onnx, read_with_message
from pipeline.importers.onnx.model import OnnxModel, OnnxNode
from pipeline.importers.onnx.reader import graph_and_ends
from pipeline.importers.onnx.tensor import Tensor
from pipeline.models.wanted import Wanted

LOWEST_IR = 4
"""The first version of the format whose constants need not be inputs as well."""


@dataclass(frozen=True, eq=False)
class OnnxCut:
    """An ONNX file that is cut in two.

    Attributes
    ----------
    inside, outside : tuple of OnnxNode
        Nodes that depend on the input: those before the cut, and those that the outputs need
        beyond it.
    also : tuple of str
        Tensors before the cut that the nodes beyond it read besides those of the cut.
    content : bytes
        The model of the nodes beyond it; empty where `also` is not.
    """

    inside: tuple[OnnxNode, ...]
    outside: tuple[OnnxNode, ...]
    also: tuple[str, ...]
    content: bytes


def cut_onnx(path: Path, wanted: Wanted) -> OnnxCut:
    """Cut an ONNX file behind the nodes that `wanted` names.

    The inputs of the second part are what the chip's program gives: float32, in the order of the
    axes here; Transposes at its start give ONNX' order.

    Raises
    ------
    ModelError
        When the first part cannot be read.
    """
    model, message = read_with_message(path)
    ends = graph_and_ends(model, wanted)[1]
    depending = _depending(model)
    inside = _before(model, set(ends), depending)
    outside, also = _beyond(model, set(ends), inside, depending)
    content = b"" if also else _rest(path, model, message, ends, outside)
    computed = tuple(n for n in model.nodes if _computes(n, depending))
    return OnnxCut(
        inside=tuple(node for node in computed if node.outputs[0] in inside),
        outside=tuple(node for node in computed if id(node) in outside),
        also=tuple(also),
        content=content,
    )


def _computes(node, depending):
    return any(name in depending for name in node.outputs)


def _depending(model: OnnxModel) -> set[str]:
    """Return the tensors whose values depend on the model's inputs."""
    found = {entry.name for entry in model.inputs}
    known = {*found, *model.constants, ""}
    waiting = list(model.nodes)
    while waiting:
        later = []
        for node in waiting:
            if not known.issuperset(node.inputs):
                later.append(node)
                continue
            known.update(node.outputs)
            if found.intersection(node.inputs):
                found.update(node.outputs)
        if len(later) == len(waiting):
            break
        waiting = later
    return found - {""}


def _before(model: OnnxModel, ends: set[str], depending: set[str]) -> set[str]:
    """Return the tensors that the ends depend on, and the ends."""
    producers, inside, pending = model.producers, set(), list(ends)
    while pending:
        name = pending.pop()
        if name in depending and name not in inside:
            inside.add(name)
            if name in producers:
                pending += producers[name].inputs
    return inside


def _beyond(model, ends, inside, depending) -> tuple[set[int], list[str]]:
    """Return the nodes that the outputs need beyond the ends, and what else these read."""
    producers, outside, also = model.producers, set(), []
    pending = list(model.outputs)
    while pending:
        name = pending.pop()
        if name in ends or name in model.constants:
            continue
        if name in inside or (name in depending and name not in producers):
            also += [name] * (name not in also)
        elif name in producers and id(producers[name]) not in outside:
            outside.add(id(producers[name]))
            pending += filter(None, producers[name].inputs)
    return outside, also


def _rest(path, model, message, ends: dict[str, Tensor], outside) -> bytes:
    onnx = import_onnx(path)
    batch = message.graph.input[_input_index(model, message)].type.tensor_type.shape.dim[0]
    inputs, moves = [], []
    for name, tensor in ends.items():
        entry, node = _given(onnx, name, tensor, batch)
        inputs.append(entry)
        moves += node
    kept = [
        (node, entry)
        for node, entry in zip(model.nodes, message.graph.node, strict=True)
        if id(node) in outside
    ]
    used = {name for node, _ in kept for name in node.inputs}
    used.update(entry.name for entry in message.graph.output)
    graph = onnx.helper.make_graph(
        [*moves, *(entry for _, entry in kept)],
        f"{message.graph.name}_rest",
        inputs,
        list(message.graph.output),
        [tensor for tensor in message.graph.initializer if tensor.name in used],
    )
    rest = onnx.helper.make_model(
        graph,
        opset_imports=list(message.opset_import),
        ir_version=max(message.ir_version, LOWEST_IR),
        producer_name="crossgrade",
    )
    return rest.SerializeToString(deterministic=True)


def _input_index(model, message) -> int:
    names = [entry.name for entry in message.graph.input]
    return names.index(model.inputs[0].name)


def _given(onnx, name: str, tensor: Tensor, batch) -> tuple[Any, list]:
    """Return an input in the order of the axes here, and the node that moves them."""
    size: Any = batch.dim_value if batch.HasField("dim_value") and batch.dim_value > 0 else "batch"
    kind = onnx.TensorProto.FLOAT
    if tensor.straight:
        return onnx.helper.make_tensor_value_info(name, kind, [size, *tensor.shape]), []
    here = f"{name}_channels_last"
    perm = [0, *(tensor.order.index(axis) + 1 for axis in range(1, len(tensor.shape) + 1))]
    entry = onnx.helper.make_tensor_value_info(here, kind, [size, *tensor.own_shape])
    move = onnx.helper.make_node("Transpose", [here], [name], f"{here}_to_onnx", perm=perm)
    return entry, [move]
