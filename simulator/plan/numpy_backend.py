"""The ``numpy`` backend: which of its steps computes a layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from simulator.integer import Tally
from simulator.plan.global_pool import GlobalSum, PooledSums
from simulator.plan.linear import Linear
from simulator.plan.numpy_levels import FloatLevels, RecheckedLevels
from simulator.plan.numpy_step import NumpyStep, NumpySums
from simulator.plan.proofs import LIMITS, Staircase
from simulator.plan.workspace import Workspace

Finish = Callable[[np.ndarray, Tally | None], np.ndarray]
"""The rest of a layer: from int64 sums of products to its output."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Case:
    """What is known of a layer when its step is chosen.

    Attributes
    ----------
    linear : Linear
    input_shape, output_shape : (height, width, channels)
    bound : int
        Largest magnitude of a partial sum, whatever the input.
    input_range : (low, high)
        Of the inputs and the padding.
    """

    linear: Linear
    input_shape: tuple[int, int, int]
    output_shape: tuple[int, int, int]
    bound: int
    input_range: tuple[int, int]


class Step(Protocol):
    """A layer compiled for one backend.

    Attributes
    ----------
    path : str
        What it computes with, for people.
    whole : bool
        Whether the output is whole numbers in the step's own type, rather than the layer's output.
    """

    path: str
    whole: bool

    def run(self, x: np.ndarray, work: Workspace, tally: Tally | None = None) -> np.ndarray:
        """Return the output for whole numbers (n, h, w, c) of any type."""

    def measure(self, output: np.ndarray, work: Workspace) -> tuple[int, int, int]:
        """Return how many values of a whole output are 0, the smallest and the largest."""


class NumpyBackend:
    """Floats that hold whole numbers, and BLAS."""

    def narrow(self, case: Case) -> bool:
        """Say whether `step` and `pooled` may be asked for."""
        return case.bound < LIMITS[np.dtype(np.float32)]

    def step(self, case: Case, stairs: Staircase) -> Step | None:
        """Return a step that ends in a proven staircase, or None."""
        levels = _levels(stairs, case.bound)
        if levels is None:
            return None
        return NumpyStep(case.linear, case.input_shape, case.output_shape, levels)

    def sums(self, case: Case, finish: Finish) -> Step:
        """Return a step whose sums the layer's own arithmetic finishes."""
        dtype = np.float32 if self.narrow(case) else np.float64
        return NumpySums(case.linear, case.input_shape, finish, dtype)

    def pooled(self, case: Case, pool: GlobalSum) -> Step:
        """Return a step that sums over the map before it rounds."""
        return PooledSums(case.linear, case.input_shape, pool)

    def link(self, layers, steps) -> None:
        """Let steps know of their neighbours; nothing to tell here."""


def _levels(stairs: Staircase, bound: int):
    """Return the fastest exact form of a staircase, or None."""
    if (floats := stairs.floats(bound, np.float32)) is not None:
        return FloatLevels(stairs, floats)
    if (integers := stairs.integers(bound)) is not None:
        rechecked = RecheckedLevels(stairs, integers)
        if rechecked.usable:
            return rechecked
    floats = stairs.floats(bound, np.float64)
    return None if floats is None else FloatLevels(stairs, floats)
