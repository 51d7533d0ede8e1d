"""Backend ``numpy``: selects the step that computes a layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from simulator.integer import Tally
from simulator.plan.case import Case
from simulator.plan.float_form import float_form
from simulator.plan.global_pool import GlobalSum, PooledSums
from simulator.plan.numpy_levels import FloatLevels, RecheckedLevels
from simulator.plan.numpy_step import NumpyStep, NumpySums
from simulator.plan.proofs import Staircase, exact_dtype
from simulator.plan.workspace import Workspace

Finish = Callable[[np.ndarray, Tally | None], np.ndarray]
"""Function of int64 sums of products and a tally that returns the layer's output."""


class Step(Protocol):
    """Layer compiled for one backend.

    Attributes
    ----------
    path : str
        Method of computation, for users.
    gives_levels : bool
        True if the output is integer-valued in the step's own dtype, False if it is the layer's
        output.
    """

    path: str
    gives_levels: bool

    def run(self, x: np.ndarray, work: Workspace, tally: Tally | None = None) -> np.ndarray:
        """Return the output for integer-valued inputs (n, h, w, c) of any dtype."""

    def measure(self, output: np.ndarray, work: Workspace) -> tuple[int, int, int]:
        """Return the number of zeros, the smallest and the largest value of an output."""


class NumpyBackend:
    """Backend that computes integers exactly in floats, with BLAS."""

    kernels = None
    """Machine code of the steps; None if they are Python."""

    def narrow(self, case: Case) -> bool:
        """Return True if float32 holds all sums exactly, as `step` and `pooled` require."""
        return exact_dtype(case.bound) == np.float32

    def step(self, case: Case, stairs: Staircase) -> Step | None:
        """Return a step that applies a proven staircase; None if no form of it is exact."""
        levels = _levels(stairs, case.bound)
        if levels is None:
            return None
        return NumpyStep(case, levels)

    def sums(self, case: Case, finish: Finish) -> Step:
        """Return a step that computes the sums; `finish` computes the layer's output from them."""
        return NumpySums(case, finish)

    def accumulators(self, case: Case, finish: Finish, bias: np.ndarray) -> Step:
        """Return a step for a layer whose output is the sums plus `bias`, int64 (filters,)."""
        return self.sums(case, finish)

    def scaled(self, scales: np.ndarray, shape):
        """Return a step for ``float32(x) * scales``; None leaves it to the layer."""
        return None

    def pooled(self, case: Case, pool: GlobalSum) -> Step:
        """Return a step that sums over the map before it rounds; see `GlobalSum`."""
        return PooledSums(case, pool)

    def link(self, layers, steps) -> None:
        """Let steps write their outputs with the zeros around them that their consumers need.

        Parameters
        ----------
        layers : sequence of Layer
        steps : dict of str to Step
        """
        for layer in layers:
            step = steps.get(layer.name)
            if not isinstance(step, NumpyStep):
                continue
            windows = [sums.window for sums in consuming(layer, layers, steps, NumpySums)]
            pads = {tuple(window.pads) for window in windows}
            plain = all(window.linear.padding_value is None for window in windows)
            if len(pads) == 1 and plain and step.output_shape == layer.output_shape:
                step.output_pads = pads.pop()


def consuming(layer, layers, steps, kinds) -> list:
    """Return the steps of some kinds whose only input is a layer's output in its own shape."""
    return [
        steps[consumer.name]
        for consumer in layers
        if layer.name in consumer.inputs
        and isinstance(steps.get(consumer.name), kinds)
        and consumer.input_shapes == (layer.output_shape,)
    ]


def _levels(stairs: Staircase, bound: int):
    """Return the fastest exact form of a staircase, or None."""
    if (form := float_form(stairs, bound, np.float32)) is not None:
        return FloatLevels(stairs, form)
    if (integers := stairs.integers(bound)) is not None:
        rechecked = RecheckedLevels(stairs, integers)
        if rechecked.usable:
            return rechecked
    form = float_form(stairs, bound, np.float64)
    return None if form is None else FloatLevels(stairs, form)
