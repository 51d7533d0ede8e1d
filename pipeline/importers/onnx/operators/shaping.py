"""Operators that move values, and those that do nothing in inference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.errors import ModelError
from pipeline.importers.onnx.call import Call, Rule
from pipeline.importers.onnx.constants import Constant, target_shape
from pipeline.importers.onnx.folding import axes_of
from pipeline.importers.onnx.tensor import Tensor
from pipeline.importers.onnx.windows import sides


def transpose(call: Call) -> Tensor:
    """Read a Transpose: only the meaning of the axes changes, no value moves."""
    tensor = call.any_tensor()
    rank = len(tensor.shape) + 1
    perm = tuple(call.attr("perm", range(rank)[::-1]))
    if sorted(perm) != list(range(rank)) or perm[0] != 0:
        raise ModelError(f"its perm is {perm}; allowed: the axes 0 to {rank - 1}, the batch first")
    if tensor.packed is not None:
        return tensor
    shape = tuple(tensor.shape[axis - 1] for axis in perm[1:])
    order = tuple(perm.index(axis) for axis in tensor.order)
    return replace(tensor, shape=shape, order=order)


def reshape(call: Call) -> Tensor:
    """Read a Reshape to a constant shape, whose first size is the batch."""
    tensor = call.any_tensor()
    shape = call.value(1)
    if not isinstance(shape, Constant):
        raise ModelError("its shape depends on the values of the images; allowed: a constant")
    arrays = [_without_zeros(array, tensor, call) for array in (shape.first, shape.second)]
    target = target_shape(Constant(*arrays), call.batch, int(np.prod(tensor.shape)))
    return call.builder.reshaped(tensor, target, call.name)


def _without_zeros(array, tensor, call):
    """Return a shape in which 0, which takes the size of the input, is only left for the batch."""
    if array.dtype != np.int64 or array.ndim != 1:
        raise ModelError("its shape is no list of whole numbers")
    if call.attr("allowzero", 0) and 0 in array:
        raise ModelError("it makes a tensor without values (allowzero)")
    sizes = (0, *tensor.shape)
    known = [sizes[i] if n == 0 and i < len(sizes) else int(n) for i, n in enumerate(array)]
    return np.array(known, np.int64)


def flatten(call: Call) -> Tensor:
    """Read a Flatten of each image."""
    tensor = call.any_tensor()
    axis = call.attr("axis", 1)
    if axis % (len(tensor.shape) + 1) != 1:
        raise ModelError(f"its axis is {axis}; allowed: 1, each image to a vector")
    return call.builder.reshaped(tensor, (int(np.prod(tensor.shape)),), call.name)


def squeeze(call: Call) -> Tensor:
    """Read a Squeeze."""
    tensor = call.any_tensor()
    sizes = (None, *tensor.shape)
    axes = axes_of(call.node.attrs, call.constant(1), len(sizes))
    if any(sizes[axis] != 1 for axis in axes) or not axes:
        raise ModelError(f"its axes are {axes or 'all'}; allowed: axes of size 1, after the batch")
    rest = [size for axis, size in enumerate(sizes) if axis not in axes]
    return call.builder.reshaped(tensor, rest[1:], call.name)


def unsqueeze(call: Call) -> Tensor:
    """Read an Unsqueeze."""
    tensor = call.any_tensor()
    given = call.constant(1)
    count = len(call.attr("axes", ()) if given is None else given.ravel())
    axes = set(axes_of(call.node.attrs, given, len(tensor.shape) + 1 + count))
    if 0 in axes or len(axes) != count:
        raise ModelError("it adds an axis before the batch, or one twice; allowed: after the batch")
    rest = iter(tensor.shape)
    sizes = [1 if axis in axes else next(rest) for axis in range(1, len(tensor.shape) + 1 + count)]
    return call.builder.reshaped(tensor, sizes, call.name)


def pad(call: Call) -> Tensor:
    """Read a Pad of zeros around a map."""
    if call.attr("mode", "constant") != "constant":
        raise ModelError(f"its mode is {call.attr('mode')}; allowed: constant")
    value = call.attr("value", 0.0) if call.opset < 11 else call.constant(2)
    if value is not None and np.any(value):
        raise ModelError(f"it pads with {value}; allowed: 0")
    tensor = call.tensor()
    rank = len(tensor.shape) + 1
    given = np.array(call.attr("pads")) if call.opset < 11 else call.constant(1)
    axes = axes_of(call.node.attrs, call.constant(3), rank) or list(range(rank))
    starts, ends = np.asarray(given).reshape(2, -1).tolist()
    found = {axis: both for axis, *both in zip(axes, starts, ends, strict=True) if any(both)}
    if not found:
        return tensor
    if rank != 4 or 0 in found:
        raise ModelError("it pads the batch, or what is no map; allowed: rows and columns of maps")
    # In the order of the graph the channels, which are not padded, come last.
    order = tensor.order if tensor.order[-1] not in found else (2, 3, 1)
    tensor = call.builder.ordered(tensor, order, call.name)
    if order[-1] in found:
        raise ModelError("it pads channels; allowed: rows and columns")
    rows, columns = (found.get(axis, [0, 0]) for axis in order[:2])
    padding = sides("pads", (rows[0], columns[0], rows[1], columns[1]))
    node = call.emit("ZeroPadding2D", (tensor.node,), {"padding": padding})
    return call.builder.tensor(node, order)


def cut(call: Call) -> Tensor:
    """Read a Slice that takes rows and columns off a map."""
    tensor = call.tensor()
    rank = len(tensor.shape) + 1
    if call.opset < 10:
        starts, ends, axes = (call.attr(key) for key in ("starts", "ends", "axes"))
        steps = None
    else:
        starts, ends, axes, steps = (call.constant(index) for index in range(1, 5))
    starts, ends = (np.ravel(values).tolist() for values in (starts, ends))
    axes = list(range(len(starts))) if axes is None else axes_of({}, axes, rank)
    if rank != 4 or not set(axes) <= {2, 3} or (steps is not None and np.any(np.ravel(steps) != 1)):
        raise ModelError(
            f"it slices the axes {axes} of {rank}; allowed: rows and columns of a map, step 1"
        )
    tensor = call.map()
    found = [(0, 0), (0, 0)]
    for axis, start, end in zip(axes, starts, ends, strict=True):
        size = tensor.shape[axis - 1]
        first, last, _ = slice(start, end).indices(size)
        found[axis - 2] = (first, size - last)
    attrs = {"cropping": sides("cropping", (found[0][0], found[1][0], found[0][1], found[1][1]))}
    return call.builder.tensor(call.emit("Cropping2D", (tensor.node,), attrs))


def cast(call: Call) -> Tensor:
    """Read a Cast to float32, the only one that rounds nothing."""
    tensor = call.any_tensor()
    to = call.attr("to")
    if to != 1:
        raise ModelError(f"it casts to ONNX' type {to}; allowed: float32 (1)")
    return replace(tensor, floats=True)


def passing(call: Call) -> Tensor:
    """Read what does nothing in inference."""
    mode = call.constant(2)
    if mode is not None and mode.any():
        raise ModelError(
            "it drops values in inference too (training_mode); export it for inference"
        )
    if len([name for name in call.node.outputs if name and call.uses[name]]) > 1:
        raise ModelError("its second output (what was dropped) is used; allowed: the first")
    return call.any_tensor()


RULES = {
    "Transpose": Rule(read=transpose, attributes=("perm",)),
    "Reshape": Rule(read=reshape, attributes=("allowzero",)),
    "Flatten": Rule(read=flatten, attributes=("axis",)),
    "Squeeze": Rule(read=squeeze, attributes=("axes",)),
    "Unsqueeze": Rule(read=unsqueeze, attributes=("axes",)),
    "Slice": Rule(read=cut, attributes=("starts", "ends", "axes")),
    "Pad": Rule(read=pad, attributes=("mode", "pads", "value")),
    "Cast": Rule(read=cast, attributes=("to", "saturate"), keeps_shape=True),
    "Identity": Rule(read=passing, keeps_shape=True),
    "Dropout": Rule(read=passing, attributes=("ratio", "seed"), keeps_shape=True),
}
