"""Axes of a tensor, as Keras counts them."""

from __future__ import annotations

from pipeline.errors import LayerError


def axis_without_batch(node, shape: tuple[int, ...]) -> int:
    """Return the attribute ``axis`` of a node, counted from 0 and without the batch axis.

    Raises
    ------
    ModelError
        If an input of `shape` has no such axis.
    """
    axis, rank = node.attrs["axis"], len(shape)
    if axis == 0 or not -rank <= axis <= rank:
        raise LayerError(
            node.name, f"axis is {axis}; its input has the axes 1 to {rank} after the batch"
        )
    return axis - 1 if axis > 0 else rank + axis
