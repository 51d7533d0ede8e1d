"""Small layers with hand-written registers, and a function to run them."""

import numpy as np

from simulator.akida_v2 import Dense1D


def i8(*values):
    return np.array(values, np.int8)


def u8(*values):
    return np.array(values, np.uint8)


def image(rows):
    """Return one single-channel image."""
    return np.array(rows, np.int32)[None, :, :, None]


def vector(*values):
    """Return one vector, as a layer's input."""
    return np.array(values, np.int32).reshape(1, 1, 1, -1)


def dense(weights, **registers):
    weights = np.array(weights, np.int8)
    return Dense1D(
        name="dense",
        inputs=(),
        input_shapes=((1, 1, weights.shape[0]),),
        weights=weights,
        **registers,
    )


def conv(kind, kernel, size, **registers):
    """Return a layer with one channel and one filter; `kernel` as rows, in the chip's order."""
    weights = np.array(kernel, np.int8)[:, :, None, None]
    registers = {"padding": "valid", "kernel_stride": (1, 1)} | registers
    return kind(name="conv", inputs=(), input_shapes=((*size, 1),), weights=weights, **registers)


def run(layer, *inputs):
    """Return the output of a layer, and its saturated values by stage."""
    tally = {}
    assert list(layer.check()) == []
    result = layer.run(*inputs, tally=tally.__setitem__)
    return result[0, ..., 0].tolist() if layer.output_shape[2] == 1 else result.ravel().tolist(), {
        stage: count for stage, count in tally.items() if count
    }
