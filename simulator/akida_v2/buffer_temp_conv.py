"""BufferTempConv and DepthwiseBufferTempConv: convolutions over the last frames of a stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simulator import kernels
from simulator.akida_v2.neural_layer import NeuralLayer, weighted
from simulator.integer import Tally
from simulator.layer import Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class BufferTempConv(NeuralLayer):
    """Convolution over time: weighted sum of a FIFO of frames, pixel by pixel.

    Attributes
    ----------
    weights : int8 (1, 1, fifo_size * channels, filters)
        Oldest frame first.
    fifo_size : int
        Number of frames in the FIFO, including the newest. A reset fills it with zeros.
    """

    fifo_size: int

    equation: ClassVar[str] = weighted(
        "sum over fifo of sat(x << input_shift) * weights, oldest frame first"
    )

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """Required shape of `weights`."""
        return 1, 1, self.fifo_size * self.input_shapes[0][2], self.weights.shape[-1]

    @property
    def accumulator_shape(self) -> Shape:
        """Height and width of a frame, and filters."""
        return *self.input_shapes[0][:2], self.filters

    def run(self, x: np.ndarray, *, tally: Tally | None = None) -> np.ndarray:
        """Return the outputs of a stream of frames (time, h, w, channels) after a reset."""
        return self.step(x, None, tally=tally)[0]

    def step(
        self, x: np.ndarray, past: np.ndarray | None, *, tally: Tally | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the outputs of successive frames of a stream.

        Parameters
        ----------
        x : int32 array (time, h, w, channels)
        past : int32 array (fifo_size - 1, h, w, channels) or None
            Frames before `x`, oldest first; None after a reset.
        tally : function (stage, count), optional
            See `Layer.run`.

        Returns
        -------
        outputs : int32 array (time, *output_shape)
        past : int32 array (fifo_size - 1, h, w, channels)
            To be passed with the next frames.
        """
        if past is None:
            past = np.zeros((self.fifo_size - 1, *x.shape[1:]), x.dtype)
        # No tally: saturated values of past frames have been counted when they were new.
        shifted = np.concatenate([self.shifted(past), self.shifted(x, tally)])
        sums = self.accumulate(shifted)
        stream = np.concatenate([past, x])
        keep = stream[len(stream) - (self.fifo_size - 1) :]
        return self.finish(self.add_bias(sums, tally), tally), keep

    def accumulate(self, x: np.ndarray) -> np.ndarray:
        """Return the sums of each window of `fifo_size` frames, int64 (windows, h, w, filters)."""
        steps = len(x) - self.fifo_size + 1
        windows = [x[t : t + steps] for t in range(self.fifo_size)]
        return kernels.conv2d(np.concatenate(windows, axis=3), self.weights, (1, 1), "valid")

    def check_geometry(self) -> Iterator[str]:
        """Yield a sentence if the FIFO has no frame."""
        if self.fifo_size < 1:
            yield f"fifo_size is {self.fifo_size}; the FIFO holds at least 1 frame"

    def traits(self) -> dict:
        """Return the facts of every neural layer, and the FIFO's size."""
        return {**super().traits(), "fifo_size": self.fifo_size}


@dataclass(frozen=True, eq=False, kw_only=True)
class DepthwiseBufferTempConv(BufferTempConv):
    """Depthwise convolution over time; weights int8 (1, 1, fifo_size, channels)."""

    equation: ClassVar[str] = weighted(
        "sum over fifo of sat(x << input_shift) * weights, per channel"
    )

    @property
    def weights_shape(self) -> tuple[int, ...]:
        """Required shape of `weights`."""
        return 1, 1, self.fifo_size, self.input_shapes[0][2]

    def accumulate(self, x: np.ndarray) -> np.ndarray:
        """Return each channel's weighted sums of windows, int64 (windows, h, w, channels)."""
        # Products of 33-bit frames and 8-bit weights, summed over fifo_size, fit int64.
        x, steps = x.astype(np.int64, copy=False), len(x) - self.fifo_size + 1
        return sum(
            x[t : t + steps] * self.weights[0, 0, t].astype(np.int64) for t in range(self.fifo_size)
        )
