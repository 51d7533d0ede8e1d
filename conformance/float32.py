"""Differences between exact integers and QuantizeML's that float32 rounding explains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

FLOAT32_EXACT = 1 << 24
"""Integers up to this magnitude are exact in float32."""

BARE = {
    "pool_size": None,
    "pool_stride": None,
    "activation": "none",
    "max_value": None,
    "max_value_shift": None,
    "activation_scales": None,
    "activation_shift": None,
    "lut_values": None,
    "global_pool": False,
    "global_pool_shift": None,
    "output_scales": None,
    "output_shift": None,
}
"""Registers of a layer whose output is the accumulator."""


class Float32Rounding:
    """Decides which differing values float32 rounding explains."""

    def __init__(self, before, step, magnitude):
        self.before, self.step, self.magnitude = before, step, magnitude

    def explains(self, ours, theirs):
        """Return a bool mask of the values whose difference float32 rounding explains."""
        shape = ours.shape
        # The value itself is rounded, such as the largest integer of a wide container.
        rounded = ours.astype(np.float32).astype(np.float64) == theirs
        explained = rounded & (np.abs(ours) >= FLOAT32_EXACT)
        magnitude = np.broadcast_to(self.magnitude(), self.before.shape).reshape(shape)
        if self.step.output_shift is None:
            # A sum of magnitudes above 2**24 may differ by a few units in the last place.
            slack = np.maximum(magnitude // FLOAT32_EXACT * 64, 0)
            return explained | ((magnitude >= FLOAT32_EXACT) & (np.abs(ours - theirs) <= slack))
        replay = _float32_requantize(self.before, self.step).reshape(shape)
        explained |= replay == theirs
        return explained | ((magnitude >= FLOAT32_EXACT) & (np.abs(ours - theirs) <= 1))


def _float32_requantize(values, step):
    """Requantize in float32, where product and shift round, as the reference does."""
    product = values.astype(np.float32)
    if step.output_scales is not None:
        product = product * step.output_scales.astype(np.float32)
        bound = np.float32(2.0**step.post_op_buffer_bits)
        product = np.clip(product, -bound, bound)
    shifted = product * np.exp2(step.output_shift.astype(np.float32))
    rounded = np.floor(shifted + np.float32(0.5))
    bound = 1 << (step.output_bits - step.output_signed)
    return np.clip(rounded, -bound, bound - 1).astype(np.int64)


def magnitude(layer, node, block, inputs, values):
    """Return a function that bounds the sum of magnitudes of each value of a node."""

    def bound():
        if node.op == "GlobalAveragePooling2D":
            return np.abs(values).sum(axis=(1, 2), keepdims=True)
        if node is not block.head or not hasattr(layer, "weights"):
            return np.abs(values)
        wide = replace(layer, **BARE)
        positive = {"weights": np.abs(layer.weights.astype(np.int64)), "buffer_bits": 60}
        if layer.bias is not None:
            positive["bias"] = np.abs(layer.bias.astype(np.int64))
        return replace(wide, **positive).run(*(np.abs(given) for given in inputs))

    return bound


def ulps(a: np.ndarray, b: np.ndarray) -> int:
    """Return the largest difference of two float32 arrays in units in the last place."""
    integers = []
    for array in (a, b):
        bits = np.ascontiguousarray(array, np.float32).view(np.int32).astype(np.int64)
        integers.append(np.where(bits < 0, -(bits & 0x7FFFFFFF), bits))
    return int(np.abs(integers[0] - integers[1]).max(initial=0))
