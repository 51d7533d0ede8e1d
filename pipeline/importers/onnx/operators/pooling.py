"""Poolings, of windows and of whole maps."""

from __future__ import annotations

from dataclasses import replace

from pipeline.errors import ModelError
from pipeline.importers.onnx.call import Call, Rule
from pipeline.importers.onnx.folding import axes_of
from pipeline.importers.onnx.tensor import MAP, Tensor
from pipeline.importers.onnx.windows import NO_PADDING, Window, padded, read_window, rounded_up
from pipeline.preparation.nonnegative import is_nonnegative

WINDOW = ("auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "strides")


def _window(call: Call, tensor: Tensor) -> tuple[Window, Window]:
    """Return the window as the node has it, and with what ``ceil_mode`` adds."""
    window = read_window(call, tensor)
    if window.dilations != (1, 1):
        raise ModelError(f"its dilations are {window.dilations}; allowed: (1, 1)")
    size = tensor.own_shape[:2]
    return window, rounded_up(window, size) if call.attr("ceil_mode", 0) else window


def _pool(call, op, source, window, padding):
    attrs = {"pool_size": window.kernel, "strides": window.strides, "padding": padding}
    return call.builder.tensor(call.emit(op, (source,), attrs))


def max_pool(call: Call) -> Tensor:
    """Read a MaxPool; padding other than "same" is zeros, where no value is below 0."""
    if len([name for name in call.node.outputs if name]) > 1:
        raise ModelError("its second output (the places of the largest) is used; allowed: one")
    tensor = call.map()
    _, window = _window(call, tensor)
    plain = window.pads == NO_PADDING or window.is_same(tensor.own_shape[:2])
    if not plain and not is_nonnegative(call.builder, tensor.node):
        raise ModelError(
            f"its pads are {window.pads}, which differ from Keras' 'same', and its input may be"
            " below 0, so that zeros around it would change the largest values; allowed: such pads"
            " after a ReLU"
        )
    source, padding = padded(call, tensor, window)
    return _pool(call, "MaxPooling2D", source, window, padding)


def average_pool(call: Call) -> Tensor:
    """Read an AveragePool; Keras' "same" leaves the padding out of the mean."""
    tensor = call.map()
    said, window = _window(call, tensor)
    counted = call.attr("count_include_pad", 0)
    if window.pads == NO_PADDING:
        return _pool(call, "AveragePooling2D", tensor.node, window, "valid")
    if counted and window.pads == said.pads:
        source = call.emit("ZeroPadding2D", (tensor.node,), {"padding": window.pads}, part="pad")
        return _pool(call, "AveragePooling2D", source, window, "valid")
    if not counted and window.is_same(tensor.own_shape[:2]):
        return _pool(call, "AveragePooling2D", tensor.node, window, "same")
    raise ModelError(
        f"its pads {said.pads} (count_include_pad {counted}, ceil_mode {call.attr('ceil_mode', 0)})"
        " have no meaning here; allowed: none, Keras' 'same' left out of the mean, or any that are"
        " counted in it"
    )


def global_average(call: Call) -> Tensor:
    """Read a GlobalAveragePool."""
    return _mean_of_map(call, call.map(), keep=True)


def global_max(call: Call) -> Tensor:
    """Read a GlobalMaxPool: one window as large as the map."""
    tensor = call.map()
    size = tensor.own_shape[:2]
    window = Window(kernel=size, strides=size, dilations=(1, 1), pads=NO_PADDING)
    return _pool(call, "MaxPooling2D", tensor.node, window, "valid")


def reduce_mean(call: Call) -> Tensor:
    """Read a ReduceMean over rows and columns of a map."""
    tensor = call.tensor()
    rank = len(tensor.shape) + 1
    axes = sorted(axes_of(call.node.attrs, call.constant(1), rank))
    if rank != 4 or 0 in axes or len(set(axes)) != 2:
        raise ModelError(
            f"its axes are {axes or 'all'}, of an input with {rank} axes; allowed: rows and columns"
            " of a map"
        )
    channels = next(axis for axis in (1, 2, 3) if axis not in axes)
    keep = bool(call.attr("keepdims", 1))
    order = (*axes, channels)
    made = _mean_of_map(call, call.builder.ordered(tensor, order, call.name), keep)
    return made if not keep else replace(made, order=order, shape=_sizes(tensor.shape, axes))


def _sizes(shape, axes):
    return tuple(1 if axis in axes else size for axis, size in enumerate(shape, 1))


def _mean_of_map(call, tensor, keep):
    node = call.emit("GlobalAveragePooling2D", (tensor.node,), {"keepdims": keep})
    return call.builder.tensor(node, MAP if keep else (1,))


RULES = {
    "MaxPool": Rule(read=max_pool, attributes=(*WINDOW, "storage_order")),
    "AveragePool": Rule(read=average_pool, attributes=(*WINDOW, "count_include_pad")),
    "GlobalAveragePool": Rule(read=global_average),
    "GlobalMaxPool": Rule(read=global_max),
    "ReduceMean": Rule(read=reduce_mean, attributes=("axes", "keepdims", "noop_with_empty_axes")),
}
