"""Write a program as an ONNX file of opset 17."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np

from pipeline.errors import ModelError
from pipeline.exporters.program_onnx.sheet import INT64, Sheet
from pipeline.exporters.program_onnx.sums import Bounds, bounds
from pipeline.files import write_bytes
from pipeline.importers.onnx.file import import_onnx
from simulator import Program

OPSET, IR = 17, 8
"""Versions of the operators and of the format: those that current tools read."""
INPUT, OUTPUT = "images", "outputs"


def export_program_onnx(path: str | Path, program: Program) -> None:
    """Write a program as a file that onnxruntime runs with the same integers, atomically.

    Temporal layers take the batch as successive frames of one stream, after a reset.

    Raises
    ------
    ModelError
        If the package `onnx` is missing, or a layer has no form in these operators.
    """
    model = program_model(program)
    write_bytes(path, model.SerializeToString(deterministic=True))


def program_model(program: Program, *, layers: bool = False):
    """Return a program as an ``onnx.ModelProto``.

    Parameters
    ----------
    program : Program
    layers : bool
        Make the output of each layer an output of the model, in their order after ``outputs``.
    """
    onnx = import_onnx(program.name)
    module = importlib.import_module(f"pipeline.exporters.program_onnx.{program.target}")
    names = _tensor_names(program)
    sheet, tensors, limits = Sheet(onnx, {INPUT, OUTPUT, *names.values()}), {}, {}
    helper, kinds = onnx.helper, onnx.helper.np_dtype_to_tensor_dtype
    shape = ["batch", *program.input_shape]
    entry = helper.make_tensor_value_info(INPUT, kinds(np.dtype(program.input_dtype)), shape)
    outputs = []
    for layer in program.layers:
        write = module.LAYERS.get(type(layer).__name__)
        if write is None:
            raise ModelError(f"{layer.name}: {type(layer).__name__} has no form in ONNX")
        sheet.layer = layer.name
        given = [
            part
            for name, size in zip(layer.inputs or (None,), layer.input_shapes, strict=True)
            for part in _given(sheet, program, name, size, tensors, limits)
        ]
        result = write(sheet, layer, *given)
        tensors[layer.name] = sheet.name_last(result, names[layer.name])
        limits[layer.name] = _limits(layer, given)
        dtype = np.float32 if layer.gives_floats else INT64
        if layers:
            size = ["batch", *layer.output_shape]
            name = names[layer.name]
            outputs.append(helper.make_tensor_value_info(name, kinds(np.dtype(dtype)), size))
    sheet.layer = program.name
    result, dtype = _outputs(sheet, program, tensors)
    shape = ["batch", *program.output_shape]
    outputs.insert(0, helper.make_tensor_value_info(OUTPUT, kinds(np.dtype(dtype)), shape))
    graph = helper.make_graph(sheet.nodes, program.name, [entry], outputs, sheet.constants)
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(
        graph, opset_imports=[opset], ir_version=IR, producer_name="crossgrade"
    )
    onnx.checker.check_model(model)
    return model


def _tensor_names(program: Program) -> dict[str, str]:
    """Return the tensor of each layer: of its name, unless the whole model has that name."""
    names = {layer.name: layer.name for layer in program.layers}
    for name in {INPUT, OUTPUT} & names.keys():
        names[name] = f"{name}_layer"
        while names[name] in program.by_name:
            names[name] += "_"
    return names


def _outputs(sheet, program, tensors) -> tuple[str, type]:
    """Name the outputs, in the unit and shape of `simulator.simulate`; return them and a type."""
    result = tensors[program.layers[-1].name]
    if program.output_scale is not None:
        levels = sheet.cast(result, np.float32)
        result = sheet.add("Mul", levels, np.asarray(program.output_scale, np.float32))
    result = sheet.add("Reshape", result, np.array([-1, *program.output_shape], INT64))
    return sheet.name_last(result, OUTPUT), np.float32 if program.gives_floats else INT64


def _given(sheet, program, name, size, tensors, limits):
    """Return a layer's input and its bounds; the images are cast and given three axes."""
    if name in tensors:
        return tensors[name], limits[name]
    images = sheet.add("Reshape", INPUT, np.array([-1, *size], INT64))
    kind = np.dtype(program.input_dtype)
    if kind.kind == "f":
        return images, None
    info = np.iinfo(kind)
    return sheet.cast(images, INT64), (int(info.min), int(info.max))


def _limits(layer, given) -> Bounds | None:
    """Return the bounds of a layer's output; None where no layer multiplies it by weights."""
    kind = type(layer).__name__
    if kind == "InputData":
        return given[1]
    if kind == "Concatenate":
        low, high = zip(*given[1::2], strict=True)
        return min(low), max(high)
    width = layer.output_width()
    return None if width is None else bounds(*width)
