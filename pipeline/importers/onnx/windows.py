"""Windows that slide over a map, in ONNX' terms: strides, dilations, padding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.errors import ModelError
from pipeline.importers.onnx.call import Call
from pipeline.importers.onnx.tensor import Tensor
from simulator.windows import same_padding

Pair = tuple[int, int]
NO_PADDING = ((0, 0), (0, 0))


@dataclass(frozen=True, kw_only=True)
class Window:
    """A window over the two axes of a map.

    Attributes
    ----------
    kernel, strides, dilations : (int, int)
    pads : ((int, int), (int, int))
        Rows above and below, columns left and right.
    """

    kernel: Pair
    strides: Pair
    dilations: Pair
    pads: tuple[Pair, Pair]

    @property
    def extents(self) -> Pair:
        """Rows and columns from the first to the last of the window."""
        rows, columns = zip(self.kernel, self.dilations, strict=True)
        return tuple((k - 1) * d + 1 for k, d in (rows, columns))

    def is_same(self, size: Pair) -> bool:
        """Whether the padding of a map of this size is Keras' "same"."""
        axes = zip(size, self.extents, self.strides, self.pads, strict=True)
        return all(same_padding(n, extent, stride) == pads for n, extent, stride, pads in axes)


def read_window(call: Call, tensor: Tensor, kernel: Pair | None = None) -> Window:
    """Return the window of a node.

    Parameters
    ----------
    call : Call
    tensor : Tensor
        The map that it slides over.
    kernel : (int, int), optional
        Size of the weights; without it the node must say it.

    Raises
    ------
    ModelError
        When an attribute is malformed, or the node says another size than its weights.
    """
    said = call.attr("kernel_shape", kernel)
    kernel = pair("kernel_shape", said) if kernel is None else kernel
    if tuple(said) != kernel:
        raise ModelError(f"its kernel_shape is {said}; its weights are {kernel}")
    strides = pair("strides", call.attr("strides", (1, 1)))
    dilations = pair("dilations", call.attr("dilations", (1, 1)))
    window = Window(kernel=kernel, strides=strides, dilations=dilations, pads=NO_PADDING)
    pads = _pads(call, tensor.own_shape[:2], window)
    return Window(kernel=kernel, strides=strides, dilations=dilations, pads=pads)


def pair(name: str, value) -> Pair:
    """Return an attribute of two numbers above 0.

    Raises
    ------
    ModelError
        When it is something else.
    """
    numbers = value if isinstance(value, tuple) else ()
    if len(numbers) != 2 or not all(isinstance(n, int) and 0 < n < 2**31 for n in numbers):
        raise ModelError(f"its {name} is {value}; allowed: two whole numbers above 0")
    return numbers


def sides(name: str, value) -> tuple[Pair, Pair]:
    """Return ONNX' four pads as rows above and below, columns left and right.

    Raises
    ------
    ModelError
        When one is negative, or their number another.
    """
    numbers = value if isinstance(value, tuple) else ()
    if len(numbers) != 4 or not all(isinstance(n, int) and 0 <= n < 2**31 for n in numbers):
        raise ModelError(f"its {name} is {value}; allowed: four whole numbers from 0")
    top, left, bottom, right = numbers
    return (top, bottom), (left, right)


def _pads(call, size, window):
    automatic = call.attr("auto_pad", "NOTSET")
    if automatic == "NOTSET":
        return sides("pads", call.attr("pads", (0, 0, 0, 0)))
    if automatic not in ("VALID", "SAME_UPPER", "SAME_LOWER"):
        raise ModelError(
            f"its auto_pad is {automatic}; allowed: NOTSET, VALID, SAME_UPPER, SAME_LOWER"
        )
    if automatic == "VALID":
        return NO_PADDING
    axes = zip(size, window.extents, window.strides, strict=True)
    upper = tuple(same_padding(*axis) for axis in axes)
    return upper if automatic == "SAME_UPPER" else tuple((end, start) for start, end in upper)


def padded(call: Call, tensor: Tensor, window: Window) -> tuple[str, str]:
    """Return the node that a window slides over, and its Keras padding.

    Padding that is neither "same" nor none becomes a ZeroPadding2D.
    """
    if window.pads == NO_PADDING:
        return tensor.node, "valid"
    if window.is_same(tensor.own_shape[:2]):
        return tensor.node, "same"
    attrs = {"padding": window.pads}
    return call.emit("ZeroPadding2D", (tensor.node,), attrs, part="pad"), "valid"


def rounded_up(window: Window, size: Pair) -> Window:
    """Return a window with the padding that ``ceil_mode`` adds at the ends.

    Raises
    ------
    ModelError
        When the last window would begin in the padding: versions of ONNX differ there.
    """
    pads = []
    for n, extent, stride, (start, end) in zip(
        size, window.extents, window.strides, window.pads, strict=True
    ):
        steps = int(np.ceil((n + start + end - extent) / stride))
        if steps * stride >= n + start:
            raise ModelError(
                "its last window begins outside of the map (ceil_mode); allowed: windows that hold"
                " values of the map"
            )
        pads.append((start, max(end, steps * stride + extent - n - start)))
    return Window(
        kernel=window.kernel, strides=window.strides, dilations=window.dilations, pads=tuple(pads)
    )
