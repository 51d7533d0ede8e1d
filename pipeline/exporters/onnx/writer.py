"""Write a float graph as an ONNX file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import IncompatibleModelError
from pipeline.exporters.layers import pruned
from pipeline.exporters.onnx.operators import OPERATORS
from pipeline.exporters.onnx.sheet import Sheet
from pipeline.files import write_bytes
from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.importers.onnx.file import import_onnx, plain
from pipeline.importers.onnx.first import DTYPES, input_order
from pipeline.importers.onnx.tensor import MAP
from simulator.refusal import Refusal

OPSET, IR = 17, 8
"""Version of the operators, and of the format: those that current tools read."""


def save_onnx(path: str | Path, graph: Graph) -> None:
    """Write `graph` as an ONNX file; equal graphs give equal bytes.

    Maps are (batch, channels, height, width), as ONNX' operators take them; nodes, inputs and
    outputs have the names of the graph's. The file is written atomically.

    Raises
    ------
    IncompatibleModelError
        If ONNX lacks something; names all of it.
    ModelError
        If the package `onnx` is not installed.
    """
    onnx = import_onnx(path)
    graph = pruned(graph)
    refusals = [refusal for node in graph.nodes for refusal in _obstacles(graph, node)]
    if refusals:
        raise IncompatibleModelError(graph.name, refusals, "write an ONNX file")
    written = _message(onnx, graph, first=len(graph.shapes[graph.input.name]) == 3)
    model = plain(written, path)
    if input_order(model, model.inputs[0]) != MAP:
        # Nothing in the model says that its input is a map, so that it stays as it is here.
        written = _message(onnx, graph, first=False)
    onnx.checker.check_model(written)
    write_bytes(path, written.SerializeToString(deterministic=True))


def _obstacles(graph: Graph, node: Node) -> Iterator[Refusal]:
    def refusal(found, allowed=""):
        return Refusal(layers=(node.name,), found=found, allowed=allowed, fix="write another file")

    if node.op == "Input":
        if node.attrs["dtype"] not in DTYPES:
            yield refusal(f"takes {node.attrs['dtype']}", ", ".join(DTYPES))
    elif node.op not in (*OPERATORS, "Outputs"):
        yield refusal(f"ONNX has no layer {node.op}")
    elif node.attrs.get("padding_value") is not None:
        yield refusal("pads with other values than 0", "0")
    elif node.op == "ReLU" and node.attrs["threshold"]:
        yield refusal(f"threshold {node.attrs['threshold']:g}", "0")
    elif node.op == "UpSampling2D" and node.attrs["interpolation"] != "nearest":
        yield refusal(f"interpolation {node.attrs['interpolation']}", "nearest")
    elif node.op == "PReLU":
        alpha = node.weights["alpha"]
        if alpha.size not in (1, alpha.shape[-1]):
            yield refusal("slopes that differ from pixel to pixel", "one for each channel")
    elif node.op == "BatchNormalization" and len(graph.shapes[node.name]) == 2:
        yield refusal("two axes", "a map or a vector")


def _message(onnx, graph: Graph, *, first: bool):
    """Return the model as protobuf, its input with the channels first or as it is here."""
    sheet = Sheet(onnx, graph, first=first)
    entry = _entry(sheet)
    for node in graph.nodes[1:]:
        if node.op != "Outputs":
            sheet.tensors[node.name] = OPERATORS[node.op](sheet, node)
    outputs = [
        _info(sheet, end.name, sheet.tensors[end.name], first=sheet.is_map(end.name))
        for end in graph.ends
    ]
    made = onnx.helper.make_graph(sheet.nodes, graph.name, [entry], outputs, sheet.constants)
    return onnx.helper.make_model(
        made,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR,
        producer_name="crossgrade",
    )


def _entry(sheet: Sheet):
    """Return the model's input, and add what makes it a float map."""
    node, onnx = sheet.graph.input, sheet.onnx
    tensor = node.name
    if node.attrs["dtype"] != "float32":
        tensor = sheet.add(node, "Cast", [tensor], part="as_float", to=onnx.TensorProto.FLOAT)
    if sheet.is_map(node.name) and not sheet.first:
        moved = sheet.name(f"{node.name}_channels_first")
        made = onnx.helper.make_node("Transpose", [tensor], [moved], moved, perm=(0, 3, 1, 2))
        sheet.nodes.append(made)
        tensor = moved
    sheet.tensors[node.name] = tensor
    kinds = {"float32": onnx.TensorProto.FLOAT, "uint8": onnx.TensorProto.UINT8}
    return _info(sheet, node.name, node.name, first=sheet.first, kind=kinds[node.attrs["dtype"]])


def _info(sheet, node, tensor, *, first, kind=None):
    shape = sheet.graph.shapes[node]
    if first and len(shape) == 3:
        shape = (shape[2], shape[0], shape[1])
    kind = sheet.onnx.TensorProto.FLOAT if kind is None else kind
    return sheet.onnx.helper.make_tensor_value_info(tensor, kind, ["batch", *shape])
