"""Akida 1.0 layers as a linear part and a staircase of its potentials."""

from __future__ import annotations

import numpy as np

from simulator.akida_v1.convolutional import Convolutional, InputConvolutional
from simulator.akida_v1.fully_connected import FullyConnected
from simulator.akida_v1.separable_convolutional import SeparableConvolutional
from simulator.plan.global_pool import GlobalSum
from simulator.plan.linear import Linear
from simulator.plan.proofs import NEVER, Staircase


def linear(layer) -> Linear | str:
    """Return the linear part of a layer, or the reason why it has no fast form."""
    if isinstance(layer, SeparableConvolutional):
        return Linear(
            kind="separable",
            weights=layer.weights.astype(np.int64)[::-1, ::-1],
            pointwise=layer.weights_pw.astype(np.int64)[0, 0],
            strides=layer.kernel_stride,
            padding=layer.padding,
            pool_size=layer.pool_size,
            pool_strides=layer.pool_stride,
            pool_padding=layer.padding,
        )
    if type(layer) not in (InputConvolutional, Convolutional, FullyConnected):
        return "no fast form for this layer type"
    weights = layer.weights.astype(np.int64)
    if isinstance(layer, FullyConnected):
        height, width, channels = layer.input_shapes[0]
        # Reorder to row-major, the memory order of activations.
        ordered = weights[0, 0].reshape(channels, width, height, -1).transpose(2, 1, 0, 3)
        return Linear(kind="dense", weights=ordered.reshape(1, 1, -1, weights.shape[-1]))
    is_input = isinstance(layer, InputConvolutional)
    return Linear(
        kind="conv",
        weights=weights if is_input else weights[::-1, ::-1],
        strides=layer.kernel_stride,
        padding=layer.padding,
        padding_value=layer.padding_value if is_input else None,
        pool_size=layer.pool_size,
        pool_strides=layer.pool_stride,
        pool_padding=layer.padding,
    )


def staircase(layer, bound: int) -> Staircase | str:
    """Return the exact levels of a layer as a staircase, or the reason why there is none.

    Parameters
    ----------
    layer : NeuralLayer
    bound : int
        Largest magnitude of a potential.
    """
    if not layer.activation:
        return "the output is the potential"
    if layer.pool_type == "average":
        return "a global sum follows"
    if bound + int(np.abs(layer.threshold.astype(np.int64)).max()) >= 1 << 28:
        return "a potential may differ from its threshold by 2**28 or more"
    channels = layer.filters
    highest = (1 << layer.act_bits) - 1
    step = layer.act_step.astype(np.float64) * 2.0 ** (4 - layer.act_bits)
    levels = np.arange(highest + 1, dtype=np.int64)[:, None]
    # Level n + 1 starts above threshold + n * step; products of 24 and 4 bits are exact in float64.
    first = layer.threshold.astype(np.int64) + np.floor(levels * step).astype(np.int64) + 1
    return Staircase(
        low=0,
        high=np.full(channels, highest, np.int64),
        first=np.clip(first[:-1], -NEVER, NEVER),
        slope=1 / step,
        over=np.clip(first[-1], -NEVER, NEVER),
        under=np.full(channels, -NEVER),
    )


def global_sum(layer, bound: int) -> GlobalSum | None:
    """Return the global sum of a layer; None if it has no average pooling."""
    if layer.pool_type != "average":
        return None
    height, width, _ = layer.potential_shape
    return GlobalSum(
        bias=np.zeros(layer.filters, np.int64),
        low=None,
        high=None,
        finish=layer.activate_pooled,
        largest=bound * height * width,
        stairs=None,
    )


def accumulators(layer, bound: int) -> None:
    """Return None: outputs of this chip are levels or floats."""


def scales(layer) -> None:
    """Return None: this chip's programs have no separate scaling to floats."""


def finish(layer, sums: np.ndarray, tally) -> np.ndarray:
    """Return a layer's output for its sums of products, int64, by the layer's own arithmetic."""
    return layer.activate(sums, tally)
