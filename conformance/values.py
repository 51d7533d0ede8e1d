"""Random but realistic weights, calibration samples and test images."""

from __future__ import annotations

import numpy as np

from conformance.draft import Draft
from pipeline.graph.graph import Graph
from pipeline.graph.operations import OPERATIONS

CALIBRATION_SAMPLES, TEST_IMAGES = 16, 6
CHANNEL_AXIS = {"DepthwiseConv2D": 2, "Conv2DTranspose": 2, "DepthwiseConv2DTranspose": 2}
"""Axis of the filters in a kernel, if it is not the last."""
SLOPES = (0.25, 0.0, 1.0, 1.7, -0.4)


def randomize(graph: Graph, draft: Draft) -> Graph:
    """Return the graph with realistic weights, including dead, huge and negative-only channels."""
    nodes = []
    for node in graph.nodes:
        given = graph.shapes[node.inputs[0]] if node.inputs else ()
        shapes = OPERATIONS[node.op].weights(node.attrs, given)
        axis = CHANNEL_AXIS.get(node.op, -1)
        weights = {name: _weight(name, shape, axis, draft) for name, shape in shapes.items()}
        nodes.append(node.with_weights(**weights))
    return graph.with_nodes(nodes)


def _weight(name, shape, axis, draft):
    return np.asarray(_DRAWN.get(name, _kernel)(shape, axis, draft), np.float32)


def _kernel(shape, axis, draft):
    rng = draft.rng
    value = rng.normal(0, 1, shape) * np.sqrt(2.0 / max(np.prod(shape) // shape[axis], 1))
    channels = np.moveaxis(value, axis, -1)
    if draft.chance(0.5):
        channels *= rng.lognormal(0.0, 0.8, channels.shape[-1])
        draft.note("unequal channels")
    for trait, factor, probability in (
        ("dead", 0.0, 0.15),
        ("huge", 2.0 ** rng.uniform(4, 10), 0.08),
    ):
        if channels.shape[-1] > 1 and draft.chance(probability):
            channels[..., rng.integers(channels.shape[-1])] *= factor
            draft.note(f"{trait} channels")
    return value


def _bias(shape, axis, draft):
    value = draft.rng.normal(0, 0.4, shape)
    if draft.chance(0.3):
        value[draft.rng.integers(len(value))] = draft.pick((0.0, -30.0, 0.5, 2.0, 300.0))
        draft.note("negative-only or constant channels")
    return value


_DRAWN = {
    "gamma": lambda shape, axis, draft: draft.rng.uniform(0.4, 1.8, shape),
    "moving_variance": lambda shape, axis, draft: draft.rng.lognormal(0.0, 0.7, shape),
    "moving_mean": lambda shape, axis, draft: draft.rng.normal(0, 0.4, shape),
    "alpha": lambda shape, axis, draft: np.full(shape, draft.pick(SLOPES)),
    "bias": _bias,
    "beta": _bias,
}


def random_images(shape, kind: str, draft: Draft) -> tuple[np.ndarray, np.ndarray]:
    """Return calibration samples and test images, extremes included.

    Parameters
    ----------
    shape : tuple of int
        Shape of one image.
    kind : {"uint8", "int8", "float_unsigned", "float_signed"}
    draft : Draft
        Makes the random choices; its traits are updated.
    """
    rng, count = draft.rng, CALIBRATION_SAMPLES
    flat = rng.random((count + TEST_IMAGES, *shape))
    if len(shape) == 3:
        # Smooth images: neighbouring pixels and frames are similar.
        for axis in (0, 1, 2):
            flat = (flat + np.roll(flat, 1, axis) + np.roll(flat, 2, axis)) / 3
        flat = np.clip((flat - 0.5) * 3 + 0.5, 0, 1)
    values = _FORMS[kind](flat, draft)
    images = values[count:].copy()
    if values.dtype.kind == "f":
        low, high = (limit(values, tuple(range(values.ndim - 1))) for limit in (np.min, np.max))
        noise = rng.uniform(low * 1.3 - 0.1, high * 1.3 + 1e-6, (2, *shape))
        images[-2:] = noise.astype(np.float32)
    else:
        limits = np.iinfo(values.dtype)
        images[-2] = rng.integers(limits.min, limits.max + 1, shape)
        images[-1] = limits.max
    return values[:count], images


def _channel_gains(draft, channels):
    """Return a factor per channel: all 1, or different ones including 0."""
    if draft.chance(0.5):
        return np.ones(channels)
    draft.note("input channels of different range")
    return np.array([draft.pick((1.0, 8.0, 0.05, 40.0, 0.0)) for _ in range(channels)])


def _float_unsigned(flat, draft):
    low, high = draft.pick(((0.0, 1.0), (-1.0, 1.0), (-1.0, 1.6), (0.0, 255.0)))
    gains = _channel_gains(draft, flat.shape[-1])
    return ((low + (high - low) * flat) * gains).astype(np.float32)


def _float_signed(flat, draft):
    gains = _channel_gains(draft, flat.shape[-1])
    return ((flat - 0.5) * draft.pick((2.0, 1.0, 7.3)) * gains).astype(np.float32)


_FORMS = {
    "uint8": lambda flat, draft: np.rint(flat * 255).astype(np.uint8),
    "int8": lambda flat, draft: np.rint(flat * 255 - 128).astype(np.int8),
    "float_unsigned": _float_unsigned,
    "float_signed": _float_signed,
}
