"""A quantized network, and faults to plant in its integers: each in one layer."""

from dataclasses import replace
from functools import cache

import numpy as np

from pipeline.config import Calibration, Quantization
from pipeline.quantization.quantize import quantize
from tests.pipeline.quantization.graphs import chain, conv

TABLE = ("Activation", {"activation": "swish"})


@cache
def network():
    """Return a float network with every kind of layer that the faults change."""
    return chain(
        ("Rescaling", {"scale": 1 / 255}),
        conv(8),
        ("BatchNormalization", {}),
        ("ReLU", {"max_value": 6.0}),
        ("DepthwiseConv2D", {"kernel_size": 3, "padding": "same"}),
        ("ReLU", {"max_value": 6.0}),
        conv(8, kernel=1),
        ("MaxPooling2D", {"pool_size": 2, "padding": "same"}),
        ("ReLU", {"max_value": None}),
        conv(8, kernel=1),
        TABLE,
        ("Conv2D", {"filters": 8, "kernel_size": 3, "padding": "same", "strides": 2}),
        ("ReLU", {"max_value": 6.0}),
        ("Flatten", {}),
        ("Dense", {"units": 5}),
        shape=(12, 12, 3),
    )


@cache
def images(count=24):
    """Return pictures for the network."""
    rng = np.random.default_rng(5)
    return rng.integers(0, 256, (count, 12, 12, 3), dtype=np.uint8)


@cache
def quantized():
    """Return the network's integers at 8 bits."""
    options = Quantization(calibration=Calibration(batch_size=8))
    return quantize(network(), images(), options)


def changed(graph, name, change):
    """Return a graph with one node replaced by ``change(node)``."""
    assert name in graph.by_name
    nodes = tuple(change(node) if node.name == name else node for node in graph.nodes)
    return replace(graph, nodes=nodes)


def register(key, edit):
    """Return a change of one register, whose array `edit` changes in place."""

    def change(node):
        array = node.registers[key].copy()
        result = edit(array)
        array = array if result is None else result
        assert array.dtype == node.registers[key].dtype
        return replace(node, registers={**node.registers, key: array})

    return change


def add(number, place=slice(None)):
    """Return an edit that adds to some values."""

    def edit(array):
        array[place] = (array[place].astype(np.int64) + number).astype(array.dtype)

    return edit


def padded_wrongly(node):
    """Return a convolution whose "same" padding writes another value."""
    channels = node.registers["kernel"].shape[2]
    return replace(
        node, registers={**node.registers, "padding_value": np.full(channels, 40, np.int32)}
    )


def swap(array):
    """Exchange two filters."""
    array[..., [1, 2]] = array[..., [2, 1]]


FAULTS = {
    "scale doubled": ("relu_4", "conv2d_2", register("output_shift", add(1))),
    "bias off by one": ("depthwiseconv2d_5", "depthwiseconv2d_5", register("bias", add(1, 3))),
    "saturating range": ("relu_6", "depthwiseconv2d_5", register("output_shift", add(3))),
    "wrong padding": ("conv2d_2", "conv2d_2", padded_wrongly),
    "one filter off by one": (
        "conv2d_7", "conv2d_7", register("kernel", add(-1, (0, 0, slice(None), 0))),
    ),
    "filters exchanged": ("conv2d_10", "conv2d_10", register("kernel", swap)),
    "one scale": ("relu_9", "conv2d_7", register("output_scales", add(-30, 5))),
    "bias shifted": ("conv2d_12", "conv2d_12", register("bias_shift", add(1, 2))),
    "clipped too low": ("relu_13", "conv2d_12", register("max_value_shift", add(-1))),
    "table shifted": (
        "activation_11", "conv2d_10", register("lut_values", lambda a: np.roll(a, 40)),
    ),
    "one bias lost": ("dense_15", "dense_15", register("bias", lambda a: np.where(a == a[1], 0, a)
                                                        .astype(a.dtype))),
}  # fmt: skip
"""Name of a fault to the node that has it, the program's layer that computes it, and the change."""
