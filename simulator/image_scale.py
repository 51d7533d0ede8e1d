"""Whether images are of the scale that a program expects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.program import Program

SMALL = {"f": 64, "i": 128, "u": 128}
"""By kind of type: images that use less than this part of the range are of another scale. An
image of bytes may be dark, floats divided by 255 use a 255th."""
LARGE = 4
"""Images that reach so many times beyond an expected range are of another scale."""
OUTSIDE = 0.05
"""Share of values beyond a quantizer's range that ordinary images do not reach: ranges are
powers of two above what calibration saw, or averages of maxima."""
STEPS = 100
SCALE = "give images of the scale that the model was trained on"
FULL = {np.dtype(kind): np.iinfo(kind) for kind in ("uint8", "int8")}


@dataclass(frozen=True, eq=False, kw_only=True)
class InputRange:
    """The values that a model expects of its images.

    Attributes
    ----------
    low, high : float, or array of shape (channels,)
    clips : bool
        Whether values beyond are clipped, so that their share counts.
    source : str
        Where the expectation comes from, for messages.
    """

    low: float | np.ndarray
    high: float | np.ndarray
    clips: bool
    source: str

    @property
    def reach(self) -> float:
        """Largest magnitude."""
        return float(np.maximum(np.abs(self.low), np.abs(self.high)).max())


def pixels(dtype) -> InputRange | None:
    """Return the range of raw pixels of an 8-bit type; None for other types."""
    limits = FULL.get(np.dtype(dtype))
    if limits is None:
        return None
    return InputRange(low=limits.min, high=limits.max, clips=False, source="raw pixels")


def expected_range(program: Program) -> InputRange | None:
    """Return what a program expects: its quantizer's range, or that of 8-bit pixels."""
    if program.input_dtype != "float32":
        return pixels(program.input_dtype)
    bounds = program.layers[0].float_bounds
    if bounds is None:
        return None
    low, high = bounds
    return InputRange(low=low, high=high, clips=True, source="the calibrated range")


def range_problem(images: np.ndarray, expected: InputRange | None) -> str | None:
    """Return how images differ in scale from what is expected, or None.

    Parameters
    ----------
    images : array of shape (n, height, width, channels)
        Finite real numbers.
    expected : InputRange or None
        None expects nothing.
    """
    if expected is None or not images.size:
        return None
    low, high = float(images.min()), float(images.max())
    reach = max(abs(low), abs(high))
    found = f"values from {low:.4g} to {high:.4g}"
    if 0 < reach < expected.reach / SMALL.get(images.dtype.kind, 128):
        divided = reach <= 1 and expected.reach > 100
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
    """Return a warning where images are of another scale than a program expects, or None.

    Parameters
    ----------
    program : Program
    images : array of shape (n, *program.input_shape)
        Of the program's input type.
    """
    problem = range_problem(images, expected_range(program))
    return problem and f"{program.name}: images have {problem}"


def _described(expected: InputRange) -> str:
    low, high = (float(np.min(expected.low)), float(np.max(expected.high)))
    return f"{expected.source} ({low:.4g} to {high:.4g})"
