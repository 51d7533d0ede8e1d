"""Compute what depends on constants only: shape arithmetic, weights that exporters rearrange."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pipeline.errors import ModelError
from pipeline.importers.onnx.model import OnnxModel, OnnxNode
from simulator.malformed import MALFORMED

MOST_VALUES = 1 << 26
"""Of all constants that are computed."""
_CASTS = {1: "float32", 2: "uint8", 3: "int8", 5: "int16", 6: "int32", 7: "int64", 9: "bool"}
_CASTS |= {10: "float16", 11: "float64", 12: "uint32", 13: "uint64"}


class Folder:
    """Computes constants, up to `MOST_VALUES` in all.

    Parameters
    ----------
    opset : int
    """

    def __init__(self, opset: int):
        self.opset, self.left = opset, MOST_VALUES

    def fold(self, node: OnnxNode, arrays: list[np.ndarray | None]) -> np.ndarray:
        """Return the output of a node whose inputs are constants; None for those left out.

        Raises
        ------
        ModelError
            When it is none of `FOLDED`, or its inputs do not fit.
        """
        if node.op not in FOLDED:
            raise ModelError(
                "it computes with constants only, and not in a way that is known; fold it first,"
                " with onnxsim or onnxruntime"
            )
        try:
            with np.errstate(all="ignore"):
                result = np.asarray(FOLDED[node.op](node.attrs, self.opset, *arrays))
        except MALFORMED as error:
            raise ModelError("its constants do not fit each other; the file is damaged") from error
        self.left -= result.size
        if self.left < 0:
            raise ModelError(f"its constants have more than {MOST_VALUES} values in all")
        return result


def folded(model: OnnxModel, folder: Folder) -> OnnxModel:
    """Return the model without the nodes that need nothing but constants."""
    constants, nodes = dict(model.constants), []
    for node in model.nodes:
        known = all(name in constants for name in node.inputs if name)
        if known and node.op in FOLDED and len(list(filter(None, node.outputs))) == 1:
            arrays = [constants[name] if name else None for name in node.inputs]
            try:
                constants[node.outputs[0]] = folder.fold(node, arrays)
                continue
            except ModelError:
                pass  # Refused where the node is read.
        nodes.append(node)
    return model.with_nodes(nodes, constants)


def axes_of(attrs, given, rank: int) -> list[int]:
    """Return the axes of a node, from an input (newer opsets) or its attribute, from 0."""
    axes = attrs.get("axes") if given is None else np.asarray(given).ravel().tolist()
    return [] if axes is None else [_axis(int(axis), rank) for axis in axes]


def _axis(axis, rank):
    if not -rank <= axis < rank:
        raise ValueError
    return axis % rank


def _constant(attrs, opset):
    (key, value), *more = attrs.items()
    if more or key not in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        raise ValueError
    return np.asarray(value, {"f": np.float32, "i": np.int64}.get(key[6:7]))


def _cast(attrs, opset, x):
    return x.astype(_CASTS[attrs["to"]])


def _gather(attrs, opset, x, indices):
    _bound(x.size // max(1, x.shape[attrs.get("axis", 0)]) * indices.size)
    return np.take(x, indices, attrs.get("axis", 0))


def _unsqueeze(attrs, opset, x, axes=None):
    found = attrs.get("axes") if axes is None else np.asarray(axes).ravel().tolist()
    return np.expand_dims(x, tuple(found))


def _squeeze(attrs, opset, x, axes=None):
    found = axes_of(attrs, axes, x.ndim)
    return np.squeeze(x, tuple(found) or None)


def _concat(attrs, opset, *arrays):
    _bound(sum(array.size for array in arrays))
    return np.concatenate(arrays, attrs["axis"])


def _slice(attrs, opset, x, starts=None, ends=None, axes=None, steps=None):
    if opset < 10:
        starts, ends, axes = (attrs.get(key) for key in ("starts", "ends", "axes"))
    starts, ends = np.ravel(starts).tolist(), np.ravel(ends).tolist()
    axes = range(len(starts)) if axes is None else np.ravel(axes).tolist()
    steps = [1] * len(starts) if steps is None else np.ravel(steps).tolist()
    cut = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        cut[_axis(axis, x.ndim)] = slice(start, end, step)
    return x[tuple(cut)]


def _divide(a, b):
    if a.dtype.kind not in "iu":
        return a / b
    return np.trunc(np.true_divide(a, b)).astype(a.dtype)


def _reshape(attrs, opset, x, shape):
    sizes = shape.ravel().tolist()
    if not attrs.get("allowzero", 0):
        sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return x.reshape(sizes)


def _transpose(attrs, opset, x):
    return x.transpose(attrs.get("perm"))


def _filled(attrs, opset, shape):
    _bound(np.prod(shape.ravel(), dtype=object))
    return np.full(shape.ravel(), attrs.get("value", np.zeros(1, np.float32)).ravel()[0])


def _range(attrs, opset, start, stop, step):
    _bound(abs(stop - start) / abs(step))
    return np.arange(start, stop, step, start.dtype)


def _expand(attrs, opset, x, shape):
    wanted = np.broadcast_shapes(x.shape, tuple(shape.ravel().tolist()))
    _bound(np.prod(wanted, dtype=object))
    return np.broadcast_to(x, wanted)


def _where(attrs, opset, condition, a, b):
    _bound(np.prod(np.broadcast_shapes(condition.shape, a.shape, b.shape), dtype=object))
    return np.where(condition, a, b)


def _bound(values) -> None:
    if not values <= MOST_VALUES:
        raise ValueError


def _together(function: Callable) -> Callable:
    """Return a function of arrays that are broadcast, whose result is bounded."""

    def run(attrs, opset, *arrays):
        _bound(np.prod(np.broadcast_shapes(*(a.shape for a in arrays)), dtype=object))
        return function(*arrays)

    return run


def _all(function: Callable) -> Callable:
    def run(*arrays):
        total = arrays[0]
        for array in arrays[1:]:
            total = function(total, array)
        return total

    return _together(run)


FOLDED: dict[str, Callable] = {
    "Constant": _constant,
    "Identity": lambda attrs, opset, x: x,
    "Cast": _cast,
    "Gather": _gather,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Concat": _concat,
    "Slice": _slice,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "ConstantOfShape": _filled,
    "Range": _range,
    "Expand": _expand,
    "Where": _where,
    "Div": _together(_divide),
    "Add": _together(np.add),
    "Sub": _together(np.subtract),
    "Mul": _together(np.multiply),
    "Pow": _together(np.power),
    "Equal": _together(np.equal),
    "Min": _all(np.minimum),
    "Max": _all(np.maximum),
    "Neg": _together(np.negative),
    "Floor": _together(np.floor),
    "Ceil": _together(np.ceil),
    "Sqrt": _together(np.sqrt),
    "Reciprocal": _together(np.reciprocal),
}
"""Operator to function of attributes, opset and arrays."""
