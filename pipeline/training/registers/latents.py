"""What training moves: real numbers, of which every register is an exact function.

Each latent starts at its register's value and gives it to the training graph with a
straight-through gradient; `registers` reads the register itself.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from pipeline.quantization.fixed_point import other_axes
from pipeline.training.registers.exact import straight

FARTHEST = np.log(4)
"""Largest change of a scale's logarithm: its registers stay in their range."""
MANY_TERMS = 64
"""Weights of a sum from which on a kernel learns at the full pace."""
SCALES = 0.1
"""Pace of logarithms of scales."""
LEVELS = 1024
"""Largest change of a bias, in output levels, of which there are at most 256."""


class Latent:
    """A variable, and the register that follows from it.

    Attributes
    ----------
    variable : tf.Variable
    pace : float
        Its rate of learning, relative to that of large kernels and biases.
    """

    pace = 1.0

    def __init__(self, start: np.ndarray):
        self.variable = tf.Variable(start, dtype=tf.float32)

    def settle(self) -> None:
        """Bring the variable back into its range, after each step."""

    def finish(self) -> None:
        """Bring the register to what the vendor's formats can hold, after the last step."""


class Kernel(Latent):
    """Weights: ``q = clip(rint(v), +-(2**(bits - 1) - 1))``.

    Parameters
    ----------
    kernel : int8 array
    bits : int
    terms : int
        How many weights a sum has: the fewer, the more of it one of them changes.
    axis : int or None
        Axis over which the vendor's formats have a scale per index; None for one scale.

    Notes
    -----
    These formats find a scale from the largest weight, so that a filter which reaches the largest
    integer keeps reaching it.
    """

    def __init__(self, kernel: np.ndarray, bits: int, terms: int, axis: int | None = -1):
        super().__init__(kernel)
        self.largest = 2 ** (bits - 1) - 1
        self.pace = min(np.sqrt(terms / MANY_TERMS), 1.0)
        self.others = other_axes(kernel.ndim, axis)
        peaks = np.abs(kernel.astype(np.int64)).max(axis=self.others, keepdims=True)
        self.full = peaks == self.largest

    def value(self, dtype=tf.float32) -> tf.Tensor:
        """Return the integers."""
        limit = float(self.largest)
        exact = tf.clip_by_value(tf.round(self.variable), -limit, limit)
        return tf.cast(straight(exact, self.variable), dtype)

    def settle(self) -> None:
        """Keep weights where a small change can still round them to another integer."""
        limit, least = self.largest + 0.49, self.largest - 0.49
        weights = tf.clip_by_value(self.variable, -limit, limit)
        sizes = tf.abs(weights)
        peaks = tf.reduce_max(sizes, self.others, keepdims=True)
        short = self.full & (peaks < least) & (sizes == peaks)
        self.variable.assign(tf.where(short, tf.sign(weights) * least, weights))

    def register(self) -> np.ndarray:
        """Return the kernel, int8."""
        return self.value().numpy().astype(np.int8)


class Bias(Latent):
    """Bias of 8 bits and a left shift, moved in units of the output's levels.

    Parameters
    ----------
    mantissa, shift : arrays of shape (filters,)
    unit : float64 array of shape (filters,)
        Output levels per unit of the accumulator, before training.
    least : int or int array of shape (filters,)
        Smallest shift that the vendor's formats can hold.
    """

    def __init__(self, mantissa: np.ndarray, shift: np.ndarray, unit: np.ndarray, least=0):
        super().__init__(np.zeros(len(mantissa)))
        self.start = mantissa.astype(np.float64) * np.exp2(shift.astype(np.float64))
        self.unit, self.least = unit, np.minimum(np.asarray(least, np.float64), shift)

    @property
    def largest(self) -> float:
        """Bound of the bias in units of the accumulator; twice, since rounding may enlarge it."""
        return float(2 * (np.abs(self.start) + LEVELS / self.unit).max())

    def settle(self) -> None:
        """Stay in reach of the output's levels."""
        self.variable.assign(tf.clip_by_value(self.variable, -LEVELS, LEVELS))

    def value(self) -> tf.Tensor:
        """Return the bias in units of the accumulator, float64."""
        return straight(self._exact()[0], self._real())

    def _real(self) -> tf.Tensor:
        return self.start + tf.cast(self.variable, tf.float64) / self.unit

    def _exact(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the shifted mantissa, and the power of two that it is shifted by."""
        real = self._real()
        # 127.49 * 2**n is no integer for any n, so that the logarithm need not be exact.
        whole = tf.maximum(tf.abs(tf.round(real)), 1)
        octaves = tf.math.ceil(tf.math.log(whole / 127.49) / np.log(2))
        power = tf.pow(tf.constant(2.0, tf.float64), tf.maximum(octaves, self.least))
        return tf.clip_by_value(tf.round(real / power), -128, 127) * power, power

    def registers(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mantissa (int8) and shift (uint8)."""
        value, power = (array.numpy() for array in self._exact())
        return (value / power).astype(np.int8), np.log2(power).astype(np.uint8)


class OutputScale(Latent):
    """Scale and shift of an output: ``m * 2**shift`` with a mantissa of 8 or 16 bits.

    A mantissa that rounds up to ``2**bits`` is half of that with the next exponent.

    Parameters
    ----------
    mantissa : uint8 or uint16 array of shape (channels,)
    shift : int8 array of shape (channels,)
    tied : bool
        All channels move by one factor.
    """

    pace = SCALES

    def __init__(self, mantissa: np.ndarray, shift: np.ndarray, *, tied: bool = False):
        super().__init__(np.zeros(1 if tied else len(mantissa)))
        self.dtype, self.bits = mantissa.dtype, 8 * mantissa.dtype.itemsize
        self.start = mantissa.astype(np.float64) * np.exp2(shift.astype(np.float64))

    def value(self) -> tf.Tensor:
        """Return output levels per unit of the accumulator, float64."""
        mantissa, power = self._exact()
        return straight(mantissa * power, self._real())

    def power(self) -> tf.Tensor:
        """Return ``2**shift``, float64."""
        return tf.stop_gradient(self._exact()[1])

    def settle(self) -> None:
        """Stay near the start."""
        self.variable.assign(tf.clip_by_value(self.variable, -FARTHEST, FARTHEST))

    def _real(self) -> tf.Tensor:
        return self.start * tf.exp(tf.cast(self.variable, tf.float64))

    def _exact(self) -> tuple[tf.Tensor, tf.Tensor]:
        real, two = self._real(), tf.constant(2.0, tf.float64)
        exponent = tf.math.floor(tf.math.log(real) / np.log(2)) + 1 - self.bits
        mantissa = tf.round(real / tf.pow(two, exponent))
        full = mantissa >= 2.0**self.bits
        mantissa = tf.where(full, mantissa / 2, mantissa)
        return mantissa, tf.pow(two, tf.where(full, exponent + 1, exponent))

    def registers(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mantissa and shift (int8)."""
        mantissa, power = (array.numpy() for array in self._exact())
        return mantissa.astype(self.dtype), np.log2(power).astype(np.int8)


class Factor(Latent):
    """A positive float32 register, moved by its logarithm.

    Parameters
    ----------
    start : array
    held : function of float32 array
        Returns the nearest factors that the vendor's formats can hold.
    """

    pace = SCALES

    def __init__(self, start: np.ndarray, held=lambda factor: factor):
        super().__init__(np.zeros(np.shape(start)))
        self.start = tf.Variable(start, dtype=tf.float32, trainable=False)
        self.held = held

    def finish(self) -> None:
        """Move to the nearest factor that a format can hold, some units in the last place away."""
        self.start.assign(self.held(self.register()))
        self.variable.assign(tf.zeros_like(self.variable))

    def value(self) -> tf.Tensor:
        """Return the register, float32."""
        return self.start * tf.exp(self.variable)

    def settle(self) -> None:
        """Stay near the start."""
        self.variable.assign(tf.clip_by_value(self.variable, -FARTHEST, FARTHEST))

    def register(self) -> np.ndarray:
        """Return the register, float32."""
        return self.value().numpy()


class Shift(Latent):
    """A float32 register, moved by itself."""

    def __init__(self, start: np.ndarray):
        super().__init__(start)

    def value(self) -> tf.Tensor:
        """Return the register, float32."""
        return tf.convert_to_tensor(self.variable)

    def register(self) -> np.ndarray:
        """Return the register, float32."""
        return self.variable.numpy()


class Threshold(Latent):
    """Integer threshold of Akida 1.0, moved in units of the initial step.

    Parameters
    ----------
    threshold : int32 array of shape (filters,)
    step : float32 array of shape (filters,)
    largest : int
        Largest magnitude that the chip's register holds.
    """

    def __init__(self, threshold: np.ndarray, step: np.ndarray, largest: int):
        super().__init__(np.zeros(len(threshold)))
        self.start, self.step = threshold.astype(np.float64), step.astype(np.float64)
        self.largest = np.maximum(float(largest), np.abs(self.start))

    def value(self) -> tf.Tensor:
        """Return the thresholds in units of the potential, float64."""
        real = self.start + tf.cast(self.variable, tf.float64) * self.step
        return straight(tf.clip_by_value(tf.round(real), -self.largest, self.largest), real)

    def register(self) -> np.ndarray:
        """Return the thresholds, float64 of whole numbers."""
        return self.value().numpy()
