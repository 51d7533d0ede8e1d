"""The layers of the made-up chip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator import kernels
from simulator.integer import requantize
from simulator.layer import Layer
from simulator.windows import output_length


@dataclass(frozen=True, eq=False, kw_only=True)
class MiniConv(Layer):
    """Convolution with padding 'same', bias, bounded ReLU, requantization."""

    weights: np.ndarray
    bias: np.ndarray
    top: np.ndarray
    stride: tuple[int, int]
    scales: np.ndarray | None
    shift: np.ndarray
    bits: int

    @property
    def output_shape(self):
        sides = (
            output_length(n, k, s, "same")
            for n, k, s in zip(
                self.input_shapes[0][:2], self.weights.shape[:2], self.stride, strict=True
            )
        )
        return (*sides, self.weights.shape[3])

    @property
    def macs(self):
        height, width, _ = self.output_shape
        return height * width * self.weights.size

    @property
    def weight_bytes(self):
        return self.weights.size

    def traits(self):
        window = {"kernel": self.weights.shape[:2], "stride": self.stride, "padding": "same"}
        return {**super().traits(), **window, "activation": "relu", "output_bits": self.bits}

    def run(self, x, *, tally=None):
        sums = kernels.conv2d(x, self.weights, self.stride, "same") + self.bias
        return requantize(
            np.clip(sums, 0, self.top),
            self.scales,
            self.shift,
            value_bits=self.bits,
            buffer_bits=32,
            tally=tally,
        ).astype(np.int32)


@dataclass(frozen=True, eq=False, kw_only=True)
class MiniDense(Layer):
    """Weighted sums and bias, times a scale, in float32."""

    weights: np.ndarray
    bias: np.ndarray
    scales: np.ndarray

    gives_floats = True

    @property
    def output_shape(self):
        return 1, 1, self.weights.shape[1]

    @property
    def macs(self):
        return self.weights.size

    @property
    def weight_bytes(self):
        return self.weights.size

    def run(self, x, *, tally=None):
        sums = kernels.matmul(x.reshape(len(x), -1), self.weights) + self.bias
        return (sums.astype(np.float32) * self.scales).reshape(len(x), 1, 1, -1)
