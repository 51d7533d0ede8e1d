"""Detect images whose scale differs from what a program expects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.program import Program

SMALL = {"f": 64, "i": 128, "u": 128}
"""By kind of dtype: images below 1/SMALL of the expected range have another scale. Byte images may
be dark; floats divided by 255 use 1/255 of the range."""
LARGE = 4
"""Images beyond this multiple of an expected range have another scale."""
OUTSIDE = 0.05
"""Share of values beyond a quantizer's range above which images have another scale. Ordinary images
stay below it: ranges are the next power of two above the calibrated maximum, or averaged maxima."""
STEPS = 100
"""Values up to 1/STEPS of the range beyond it count as inside."""
PIXELS = 100
"""A range that reaches further is one of pixels."""
SCALE = "give images of the scale that the model was trained on"
FULL = {np.dtype(kind): np.iinfo(kind) for kind in ("uint8", "int8")}


@dataclass(frozen=True, eq=False, kw_only=True)
class InputRange:
    """Range of input values that a model expects.

    Attributes
    ----------
    low, high : float, or float array of shape (channels,)
    clips : bool
        True if the model clips values beyond the range; their share is then tested.
    source : str
        Origin of the range, for messages.
    """

    low: float | np.ndarray
    high: float | np.ndarray
    clips: bool
    source: str

    @property
    def reach(self) -> float:
        """Largest magnitude in the range."""
        return float(np.maximum(np.abs(self.low), np.abs(self.high)).max())


def pixels(dtype) -> InputRange | None:
    """Return the range of raw pixels of an 8-bit dtype; None for other dtypes."""
    limits = FULL.get(np.dtype(dtype))
    if limits is None:
        return None
    return InputRange(low=limits.min, high=limits.max, clips=False, source="raw pixels")


def expected_range(program: Program) -> InputRange | None:
    """Return the input range of a program: its quantizer's, or that of 8-bit pixels."""
    if program.input_dtype != "float32":
        return pixels(program.input_dtype)
    bounds = program.layers[0].float_bounds
    if bounds is None:
        return None
    low, high = bounds
    return InputRange(low=low, high=high, clips=True, source="the calibrated range")


def range_problem(images: np.ndarray, expected: InputRange | None) -> str | None:
    """Return a sentence on how the scale of images differs from the expected one, or None.

    Parameters
    ----------
    images : array of shape (n, height, width, channels)
        Finite real numbers.
    expected : InputRange or None
        None accepts any scale.
    """
    if expected is None or not images.size:
        return None
    low, high = float(images.min()), float(images.max())
    reach = max(abs(low), abs(high))
    found = f"values from {low:.4g} to {high:.4g}"
    if 0 < reach < expected.reach / SMALL.get(images.dtype.kind, 128):
        divided = reach <= 1 and expected.reach > PIXELS
        hint = "if they were divided by 255, give them undivided" if divided else SCALE
        return f"{found}, far inside {_described(expected)}; {hint}"
    if expected.clips:
        # A value of the last level may lie up to half a step beyond its own float.
        margin = (expected.high - expected.low) / STEPS
        beyond = (images < expected.low - margin) | (images > expected.high + margin)
        share = float(np.mean(beyond))
        if share > OUTSIDE:
            return f"{found}, {share:.0%} of them beyond {_described(expected)}; {SCALE}"
    elif reach >= LARGE * expected.reach:
        return f"{found}, far beyond {_described(expected)}; {SCALE}"
    return None


def input_warning(program: Program, images: np.ndarray) -> str | None:
    """Return a warning if images have another scale than a program expects, else None.

    Parameters
    ----------
    program : Program
    images : array of shape (n, *program.input_shape)
        In the program's input dtype.
    """
    problem = range_problem(images, expected_range(program))
    return problem and f"{program.name}: images have {problem}"


def are_fractions(images: np.ndarray, expected: InputRange | None) -> bool:
    """Return True for fractions up to 1 where pixels are expected: these were divided."""
    if expected is None or expected.reach <= PIXELS or images.dtype.kind != "f" or not images.size:
        return False
    return bool(np.abs(images).max() <= 1 and np.any(images != np.rint(images)))


def _described(expected: InputRange) -> str:
    low, high = (float(np.min(expected.low)), float(np.max(expected.high)))
    return f"{expected.source} ({low:.4g} to {high:.4g})"
