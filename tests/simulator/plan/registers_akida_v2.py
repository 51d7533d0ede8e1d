"""Random registers of Akida 2.0 layers, such that sums reach most steps of an output."""

from __future__ import annotations

import numpy as np

from simulator import akida_v2
from simulator.integer import integer_range
from tests.builders import BUFFERED, NEURAL, integers
from tests.simulator.plan.covering import literal, nonzero

FAR_SHIFT = 24
"""A shift by which most values overflow their register."""


class Draft:
    """Builder of a layer.

    Parameters
    ----------
    kind : str
    drawn : dict of str to str
        States by trait; a register that is left out keeps its default.
    rng : numpy.random.Generator
    shape : (height, width, channels)
        Of the input.
    """

    name = "subject"
    range = (-128, 127)
    """Smallest and largest input."""

    def __init__(self, kind: str, drawn: dict[str, str], rng, shape):
        self.kind, self.drawn, self.rng, self.shape = kind, drawn, rng, shape
        self.fields: dict[str, object] = {}
        self.typical: np.ndarray = np.ones(shape[2])
        """About the magnitude of each channel, as far as the layer has been drawn."""

    def layer(self, inputs: tuple[str, ...], shape):
        """Return the layer that reads `inputs`, all of one shape."""
        layer = getattr(akida_v2, self.kind)
        known = layer.__dataclass_fields__
        for name in self.drawn.keys() & known.keys() - ARRAYS.keys() - {"weights"}:
            self.fields[name] = literal(self.drawn[name])
        if self.kind in NEURAL:
            self._weights()
        for name, make in ARRAYS.items():
            if self.drawn.get(name, "absent") != "absent":
                array = make(self)
                self.fields[name] = array * 0 if self.drawn[name] == "zero" else nonzero(array)
            if name in STAGES:
                STAGES[name](self)
        shapes = (shape,) * max(len(inputs), 1)
        return layer(name=self.name, inputs=inputs, input_shapes=shapes, **self.fields)

    def get(self, name: str, default=0):
        """Return a drawn register, or `default`."""
        value = self.fields.get(name)
        return default if value is None else value

    @property
    def largest(self) -> int:
        """Largest magnitude of an input."""
        return max(abs(bound) for bound in self.range)

    @property
    def channels(self) -> int:
        """Number of channels of input registers."""
        return int(np.prod(self.shape)) if self.kind == "Dense1D" else self.shape[2]

    @property
    def filters(self) -> int:
        """Number of channels of the sums."""
        return len(self.typical)

    def _weights(self) -> None:
        height, width, channels = self.shape
        depthwise, bits = self.kind.startswith("Depthwise"), int(self.drawn["weight_bits"])
        filters = channels if depthwise else int(self.drawn["filters"])
        frames = int(self.drawn.get("fifo_size", 1))
        last = (channels, 1) if depthwise else (channels, filters)
        if self.kind == "Dense1D":
            shape = (height * width * channels, filters)
        elif self.kind in BUFFERED:
            shape = (1, 1, frames, channels) if depthwise else (1, 1, frames * channels, filters)
        else:
            shape = (*map(int, self.drawn["kernel"].split("x")), *last)
        weights = integers(self.rng, bits, shape, signed=bits > 1, dtype=np.int8)
        weights[(0,) * len(shape)] = 1
        low, high = integer_range(bits, bits > 1)
        first = (..., 0, 0) if depthwise and self.kind not in BUFFERED else (..., 0)
        if self.drawn.get("extremes") == "dead" and filters > 1:
            weights[first] = 0
        elif self.drawn.get("extremes") == "huge":
            weights[first] = self.rng.choice([high, max(low, -high)])
        self.fields["weights"] = weights
        self.typical = np.ones(filters)

    def sums(self) -> None:
        """Record the magnitude of sums: of weighted inputs, or of two inputs."""
        low, high = self.range
        spread, middle = (high - low) / 3.5, abs(high + low) / 2
        shift = np.broadcast_to(2.0 ** np.minimum(self.get("input_shift", 0), 30), self.channels)
        if self.kind not in NEURAL:
            shift = 2.0 ** np.asarray(self.get("a_shift", np.zeros(self.channels)))
            self.typical = (spread + middle) * shift
            return
        weights = self.fields["weights"].astype(np.float64)
        if self.kind.startswith("Depthwise"):
            weights = weights.reshape(-1, self.channels) * shift
        else:
            rows = weights.reshape(-1, self.filters)
            weights = rows * np.tile(shift, len(rows) // len(shift))[:, None]
        noise = np.sqrt((weights**2).sum(axis=0)) * spread
        bias = np.asarray(self.get("bias", 0), np.float64) * 2.0 ** np.asarray(
            self.get("bias_shift")
        )
        self.typical = noise + np.abs(weights.sum(axis=0)) * middle + np.abs(bias) / 2 + 1

    def activated(self) -> None:
        """Record the range after the activation."""
        if self.drawn.get("activation") == "lut":
            self.typical = np.full(self.filters, 2.0**13)
        elif self.drawn.get("activation") == "relu" and "max_value" in self.fields:
            shift = 2.0 ** np.asarray(self.get("max_value_shift"))
            bound = np.asarray(self.fields["max_value"]) * shift
            self.typical = np.minimum(self.typical, bound) + 1
        if self.drawn.get("global_pool") == "True":
            shift = 2.0 ** np.asarray(self.get("global_pool_shift"))
            self.typical = self.typical * shift * 8

    def shift_to(self, bits: int, scales) -> np.ndarray:
        """Return shifts, int8 (filters,), that scale the sums to about `bits` value bits."""
        size = np.log2(self.typical * np.maximum(np.asarray(scales, np.float64), 1))
        shift = np.rint(bits - size) + self.rng.integers(-2, 2, self.filters)
        if self.rng.random() < 0.2:
            # Some channels with extreme values.
            apart = self.rng.random(self.filters) < 0.1
            shift[apart] = self.rng.choice([-128, -40, -24, 3, 30, 127])
        return np.clip(shift, -128, 127).astype(np.int8)


def _input_shift(draft: Draft) -> np.ndarray:
    shift = draft.rng.integers(0, 5, draft.channels, dtype=np.uint8)
    if draft.rng.random() < 0.1:
        shift[draft.rng.integers(draft.channels)] = FAR_SHIFT
    return shift


def _padding_value(draft: Draft) -> np.ndarray:
    """Return a zero point in units of the shifted input; rarely not a multiple of the shift."""
    low, high = draft.range
    value = draft.rng.integers(low, high, draft.channels, dtype=np.int32, endpoint=True)
    shift = np.minimum(draft.get("input_shift", np.zeros(draft.channels, int)), 16)
    odd = draft.rng.random() < 0.15
    return (value << shift.astype(np.int32)) + odd


def _bias_shift(draft: Draft) -> np.ndarray:
    draft.sums()
    reach = np.log2(draft.typical) - 6
    shift = np.clip(reach + draft.rng.integers(-3, 2, draft.filters), 0, 32).astype(np.uint8)
    if draft.drawn.get("extremes") == "huge":
        shift[0] = FAR_SHIFT
    return shift


def _max_value_shift(draft: Draft) -> np.ndarray:
    return np.clip(np.log2(draft.typical) - 7, 0, 32).astype(np.uint8)


def _output_scales(draft: Draft) -> np.ndarray:
    if draft.rng.random() < 0.2:
        return draft.rng.integers(1, 65536, draft.filters, dtype=np.uint16)
    return draft.rng.integers(64 if draft.rng.random() < 0.8 else 0, 256, draft.filters, np.uint8)


def _small(low: int, high: int, dtype, size: str = "filters"):
    return lambda draft: draft.rng.integers(low, high, getattr(draft, size)).astype(dtype)


ARRAYS = {
    "input_shift": _input_shift,
    "padding_value": _padding_value,
    "a_shift": _small(0, 5, np.uint8, "channels"),
    "b_shift": _small(0, 5, np.uint8, "channels"),
    "bias": _small(-128, 128, np.int8),
    "bias_shift": _bias_shift,
    "max_value_shift": _max_value_shift,
    "max_value": _small(0, 256, np.uint8),
    "activation_scales": _small(128, 256, np.uint8),
    "activation_shift": lambda draft: draft.shift_to(
        draft.get("activation_bits", 11) - 1, draft.get("activation_scales", 1)
    ),
    "lut_values": lambda draft: integers(
        draft.rng, 14, 1 << draft.get("activation_bits", 11), dtype=np.int16
    ),
    "global_pool_shift": _small(0, 4, np.uint8),
    "output_scales": _output_scales,
    "output_shift": lambda draft: draft.shift_to(
        draft.get("output_bits", 8) - draft.get("output_signed", True),
        draft.get("output_scales", 1),
    ),
    "scales": lambda draft: (2.0 ** draft.rng.integers(-2, 8, draft.channels)).astype(np.float32),
    "zero_points": lambda draft: draft.rng.integers(
        0, 1 << min(draft.get("output_bits", 8), 8), draft.channels, dtype=np.uint8
    ),
}
"""Functions that draw each array, in the order of their dependencies."""
STAGES = {"bias_shift": Draft.sums, "global_pool_shift": Draft.activated}
"""Functions that record the range of sums after a register has been drawn."""
