"""The ``fast`` backend: which of its steps computes a layer; NumPy's where none does."""

from __future__ import annotations

from simulator.plan.fast.border import Border
from simulator.plan.fast.factors import fits
from simulator.plan.fast.step import FastPooledSums, FastStep, FastSums
from simulator.plan.global_pool import GlobalSum
from simulator.plan.numpy_backend import Case, Finish, NumpyBackend, Step
from simulator.plan.proofs import NEVER, Staircase


class FastBackend(NumpyBackend):
    """16-bit factors, 32-bit sums, compiled loops."""

    def step(self, case: Case, stairs: Staircase) -> Step | None:
        """Return a step that ends in a proven staircase, or None."""
        # One level beyond either end tells saturated values apart.
        levels_fit = stairs.low > -(1 << 15) and stairs.low + len(stairs.first) + 1 < 1 << 15
        apart = case.linear.kind == "depthwise" and case.linear.pool_size is not None
        below, above = stairs.under > -NEVER, stairs.over < NEVER
        # Values that saturate are counted as what is cut off at either end, or at the upper one.
        counted = above.all() and below.all() if below.any() else True
        if apart or not levels_fit or not counted or not self._fits(case):
            return super().step(case, stairs)
        integers = stairs.integers(case.bound)
        if integers is None:
            return super().step(case, stairs)
        shapes = case.input_shape, case.output_shape
        return FastStep(case.linear, stairs, integers, *shapes, case.input_range)

    def sums(self, case: Case, finish: Finish) -> Step:
        """Return a step whose sums the layer's own arithmetic finishes."""
        if not self._multiplies(case):
            return super().sums(case, finish)
        return FastSums(case.linear, case.input_shape, finish)

    def pooled(self, case: Case, pool: GlobalSum) -> Step:
        """Return a step that sums over the map before it rounds."""
        if not self._multiplies(case):
            return super().pooled(case, pool)
        return FastPooledSums(case.linear, case.input_shape, pool)

    def _multiplies(self, case: Case) -> bool:
        return case.linear.kind in ("conv", "dense") and self._fits(case)

    def _fits(self, case: Case) -> bool:
        return fits(case.linear, case.bound, case.input_range)

    def link(self, layers, steps) -> None:
        """Let steps write their outputs inside the border that the next ones read.

        Parameters
        ----------
        layers : sequence of Layer
        steps : dict of str to Step
        """
        fast = (FastStep, FastSums, FastPooledSums)
        for layer in layers:
            step = steps.get(layer.name)
            if not isinstance(step, FastStep):
                continue
            readers = [
                steps[reader.name].factors
                for reader in layers
                if layer.name in reader.inputs
                and isinstance(steps.get(reader.name), fast)
                and reader.input_shapes == (layer.output_shape,)
            ]
            pads = {tuple(factors.window.pads) for factors in readers}
            plain = all(factors.linear.padding_value is None for factors in readers)
            if len(pads) == 1 and plain:
                slack = max(factors.slack for factors in readers)
                step.border = Border(layer.output_shape, *pads, slack)
                for factors in readers:
                    factors.bordered = True
