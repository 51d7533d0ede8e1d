"""A tensor of the ONNX model, and where its values are in the graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.errors import ModelError

MAP = (2, 3, 1)
"""ONNX' axes (batch, channels, height, width) in the order of a map here."""


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """A tensor that depends on the model's input.

    Attributes
    ----------
    node : str
        The node of the graph that has the values.
    shape : tuple of int
        ONNX' sizes, without the batch.
    order : tuple of int
        ONNX' axes, counted with the batch, in the order in which the node has them.
    packed : Tensor or None
        A vector that was flattened in the order of the graph: the map that it was. ONNX has its
        values in another order.
    floats : bool
        Whether ONNX computes with it in float32; False for whole numbers.
    """

    node: str
    shape: tuple[int, ...]
    order: tuple[int, ...]
    packed: Tensor | None = None
    floats: bool = True

    @property
    def straight(self) -> bool:
        """Whether ONNX has the values in the same order."""
        return self.packed is None and self.order == tuple(range(1, len(self.shape) + 1))

    @property
    def own_shape(self) -> tuple[int, ...]:
        """The sizes in the order of the graph."""
        return tuple(self.shape[axis - 1] for axis in self.order)

    def axis(self, axis: int) -> int:
        """Return the axis here, as Keras counts it, of ONNX' `axis`; the last one is -1.

        Raises
        ------
        ModelError
            For the batch, and axes that do not exist.
        """
        rank = len(self.shape) + 1
        if not -rank <= axis < rank or axis % rank == 0:
            raise ModelError(f"its axis is {axis}; allowed: 1 to {rank - 1}, after the batch")
        place = self.order.index(axis % rank) + 1
        return place if place < rank - 1 else -1

    def rows(self) -> np.ndarray:
        """Return which of ONNX' values each value of a vector is."""
        if self.packed is None:
            return np.arange(self.shape[0])
        axes = [axis - 1 for axis in self.packed.order]
        return np.arange(self.shape[0]).reshape(self.packed.shape).transpose(axes).ravel()

    def varying_axis(self, constant: np.ndarray) -> int | None:
        """Return ONNX' only axis along which a constant that is broadcast differs; None if none.

        Raises
        ------
        ModelError
            When it differs along several axes, or makes the tensor larger.
        """
        full = (1, *self.shape)
        try:
            fits = np.broadcast_shapes(full, constant.shape) == full
        except ValueError:
            fits = False
        if not fits:
            raise ModelError(
                f"its constant of shape {constant.shape} makes another shape of {full}; allowed:"
                " one number, or one per channel"
            )
        sizes = (1,) * (len(full) - constant.ndim) + constant.shape
        varying = [axis for axis, size in enumerate(sizes) if size > 1]
        if not constant.size or (constant == constant.flat[0]).all():
            return None
        if len(varying) > 1:
            raise ModelError(
                f"its constant of shape {constant.shape} differs from position to position;"
                " allowed: one number, or one per channel"
            )
        return varying[0]
