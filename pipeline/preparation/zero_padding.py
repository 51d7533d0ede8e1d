"""Replace ZeroPadding2D by the padding of the convolution or max pooling after it."""

from __future__ import annotations

import numpy as np

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.graph.traits import CONVOLUTIONS
from pipeline.preparation.nonnegative import is_nonnegative
from pipeline.preparation.obstacle import Obstacle
from simulator.windows import output_length, same_padding

LARGEST_KERNEL, LARGEST_GROWN = 7, 17
"""Side of the chips' largest kernel, and of the largest one that the emulator is given instead."""
POOL = "MaxPooling2D"
WINDOWS = (*CONVOLUTIONS, POOL)


def fold_zero_padding(graph: Graph) -> Graph:
    """Fold ZeroPadding2D into the convolutions and max poolings after it.

    Only where the outputs are unchanged: with padding 'same' (or with no padding, if no window
    reads the zeros) there must be as many windows, starting at the same pixels. Where 'same' starts
    elsewhere, a larger kernel with zeros at its edge may fit: ((1, 1), (1, 1)) before a 3x3 kernel
    of stride 2 on an even size pads as 'same' does for 5x5. (QuantizeML removes the padding there
    and keeps 3x3, which shifts the image by one pixel.) Kernels grow to at most 17x17,
    of which the chips have those up to 7x7.

    A max pooling with padding 'same' ignores the border, while ZeroPadding2D adds zeros to its
    windows. Both agree where no value is negative, and before a ReLU.

    Other paddings are kept; `padding_obstacle` returns the reason.
    """
    for name in [node.name for node in graph.nodes if node.op == "ZeroPadding2D"]:
        if name in graph.by_name:  # Otherwise an earlier step removed it with other unused nodes.
            graph = _fold(graph, graph.node(name))
    return graph


def padding_obstacle(graph: Graph, padding: Node) -> Obstacle:
    """Return why `padding`, which `fold_zero_padding` has kept, cannot be folded."""
    if padding.name == graph.output:
        return Obstacle("it ends the model", "a convolution or max pooling after it", "remove it")
    results = (folded_window(graph, padding, first) for first in graph.consumers(padding))
    unread = Obstacle("nothing reads it", "a convolution or max pooling after it", "remove it")
    return next((result for result in results if isinstance(result, Obstacle)), unread)


def _fold(graph, padding):
    """Connect each consumer of `padding` that can pad itself to the unpadded tensor."""
    source = graph.node(padding.inputs[0])
    if source.op == "ZeroPadding2D":  # successive paddings add up
        amounts = tuple(
            tuple(map(sum, zip(*axes, strict=True)))
            for axes in zip(source.attrs["padding"], padding.attrs["padding"], strict=True)
        )
        joined = padding.with_attrs(padding=amounts).with_inputs(*source.inputs)
        return _fold(_without_unused(_with_replaced(graph, {padding.name: joined})), joined)
    if not np.any(padding.attrs["padding"]):
        return graph.rewrite(lambda node: [] if node.name == padding.name else None)
    new: dict[str, Node] = {}
    for first in graph.consumers(padding):
        window = folded_window(graph, padding, first)
        if isinstance(window, Node):
            new[window.name] = window
            unpadded = new.get(first.name, first)
            new[first.name] = unpadded.with_inputs(
                *(source.name if name == padding.name else name for name in unpadded.inputs)
            )
    return _without_unused(_with_replaced(graph, new)) if new else graph


def _with_replaced(graph, new):
    return graph.with_nodes(new.get(node.name, node) for node in graph.nodes)


def _without_unused(graph):
    return graph.with_nodes(
        node
        for node in graph.nodes
        if node.op != "ZeroPadding2D" or graph.consumers(node) or node.name == graph.output
    )


def folded_window(graph, padding, first) -> Node | Obstacle:
    """Return the window that a consumer of `padding` leads to as it is without it, or why not."""
    window = first
    while window is not None and _keeps_zero(window):
        window = graph.sole_consumer(window)
    if window is None or window.op not in WINDOWS or window.attrs.get("padding_value"):
        return Obstacle(
            f"before {first.name} ({first.op})",
            "a convolution or max pooling after it",
            "pad by the convolution's padding 'same' and retrain",
        )
    geometry = _Geometry(graph, padding, window)
    folded = geometry.fold()
    if folded is None:
        return geometry.obstacle()
    reads_zeros = window.op == POOL and geometry.reads_zeros
    if reads_zeros and not _same_maxima(graph, padding, window):
        return Obstacle(
            f"{window.name} compares with the zeros, and {padding.inputs[0]} may be negative",
            "values of at least 0 (after a ReLU), or a ReLU after the pooling",
            "pool with padding 'same' and retrain",
        )
    return folded


def _keeps_zero(node):
    """Return True if a pointwise layer maps 0 to 0, so that it commutes with the padding."""
    if node.op == "ReLU":
        return not node.attrs["threshold"]
    if node.op == "Rescaling":
        return not np.any(node.attrs["offset"])
    return node.op in ("Dropout", "LeakyReLU", "QuantizedReLU")


def _same_maxima(graph, padding, pool):
    """Return True if zeros at the border change no maximum, or only those that a ReLU sets to 0."""
    relu = graph.skip_ahead(pool, ("Dropout",))
    cuts = relu is not None and relu.op == "ReLU"
    cuts = cuts and not (relu.attrs["negative_slope"] or relu.attrs["threshold"])
    return cuts or is_nonnegative(graph, pool.inputs[0])


class _Geometry:
    """Positions of the windows of a convolution or pooling on the unpadded map."""

    def __init__(self, graph, padding, window):
        self.window, self.amounts = window, padding.attrs["padding"]
        self.size = graph.shapes[padding.inputs[0]][:2]
        self.outputs = graph.shapes[window.name][:2]
        self.kernel = window.attrs["pool_size" if window.op == POOL else "kernel_size"]
        self.strides = window.attrs["strides"] or self.kernel
        self.dilation = window.attrs.get("dilation_rate", (1, 1))
        self.extent = self._extent(self.kernel)
        self.same = self._same(self.extent)
        self.starts = tuple(start for start, _ in self.amounts)
        if window.attrs["padding"] == "same":
            padded = graph.shapes[padding.name][:2]
            own = map(same_padding, padded, self.extent, self.strides)
            self.starts = tuple(a + b for a, (b, _) in zip(self.starts, own, strict=True))

    def fold(self) -> Node | None:
        """Return the node with its own padding instead of the zeros, or None."""
        if self._fits("same"):
            return self.window.with_attrs(padding="same")
        if self._fits("valid"):
            return self.window.with_attrs(padding="valid")
        return self._grown() if self._same_count("same") else None

    @property
    def reads_zeros(self) -> bool:
        """True if a window extends beyond the map."""
        return any(
            pixels[1] - pixels[0] < extent
            for axis, extent in zip(self._covered(self.starts), self.extent, strict=True)
            for pixels in axis
        )

    def obstacle(self) -> Obstacle:
        """Return the obstacle: how padding 'same' differs."""
        name, size = self.window.name, "x".join(map(str, self.size))
        kernel, stride = ("x".join(map(str, pair)) for pair in (self.kernel, self.strides))
        pads, same = (str(pair).replace(" ", "") for pair in (self.amounts, self.same))
        grown = (
            ""
            if self.window.op == POOL
            else f", or what a kernel grown to {LARGEST_GROWN}x{LARGEST_GROWN} can take in"
        )
        return Obstacle(
            f"padding {pads} before {name}, {kernel} of stride {stride}",
            f"{same}, as padding 'same' does on {size}{grown}",
            f"give {name} padding 'same' and retrain",
        )

    def _extent(self, kernel):
        return tuple((k - 1) * d + 1 for k, d in zip(kernel, self.dilation, strict=True))

    def _same(self, extent):
        return tuple(map(same_padding, self.size, extent, self.strides))

    def _fits(self, padding):
        """Return True if the windows are the same with the node's own padding.

        Windows of a convolution must start at the same pixels; windows of a pooling must contain
        the same pixels of the map, and at least one.
        """
        starts = tuple(before for before, _ in self.same) if padding == "same" else (0, 0)
        if not self._same_count(padding):
            return False
        if self.window.op == POOL:
            return self._covered(starts) == self._covered(self.starts)
        return starts == self.starts

    def _covered(self, starts):
        """Return the range of pixels on the map of every window, [first, last + 1), per axis."""
        axes = zip(starts, self.size, self.extent, self.strides, self.outputs, strict=True)
        return [
            [(max(n * s - start, 0), min(n * s - start + k, size)) for n in range(count)]
            for start, size, k, s, count in axes
        ]

    def _same_count(self, padding):
        axes = zip(self.size, self.extent, self.strides, strict=True)
        return self.outputs == tuple(output_length(*axis, padding) for axis in axes)

    def _grown(self):
        """Return a convolution with zeros at its kernel's edge for which 'same' fits, or None."""
        if self.window.op == POOL or self.dilation != (1, 1):
            return None
        for extra in range(1, LARGEST_GROWN - max(self.kernel) + 1):
            kernel = tuple(k + extra for k in self.kernel)
            margins = [
                (before - start, extra - (before - start))
                for (before, _), start in zip(self._same(kernel), self.starts, strict=True)
            ]
            if all(k % 2 for k in kernel) and all(min(margin) >= 0 for margin in margins):
                return enlarged(self.window, *margins).with_attrs(padding="same")
        return None


def enlarged(node: Node, rows: tuple[int, int], columns: tuple[int, int]) -> Node:
    """Return a convolution with zeros around its kernel: (before, after) rows and columns."""
    key = node.operation.input_kernel
    kernel = np.pad(node.weights[key], (rows, columns, (0, 0), (0, 0)))
    return node.with_attrs(kernel_size=kernel.shape[:2]).with_weights(**{key: kernel})
