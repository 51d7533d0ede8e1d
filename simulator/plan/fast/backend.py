"""Backend ``fast``: selects the step that computes a layer, NumPy's if none of its own can."""

from __future__ import annotations

from simulator.plan.fast.border import Border
from simulator.plan.fast.factors import fits
from simulator.plan.fast.step import FastPooledSums, FastStep, FastSums
from simulator.plan.global_pool import GlobalSum
from simulator.plan.numpy_backend import Case, Finish, NumpyBackend, Step
from simulator.plan.proofs import NEVER, Staircase


class FastBackend(NumpyBackend):
    """Backend with 16-bit factors, 32-bit sums and compiled loops."""

    def step(self, case: Case, stairs: Staircase) -> Step | None:
        """Return a step that applies a proven staircase; None if no form of it is exact."""
        # Saturated values get one more level at either end.
        levels_fit = stairs.low > -(1 << 15) and stairs.low + len(stairs.first) + 1 < 1 << 15
        pooled = case.linear.kind == "depthwise" and case.linear.pool_size is not None
        below, above = stairs.under > -NEVER, stairs.over < NEVER
        # The tiles count values clipped at both ends in all channels, or at the upper end only.
        counted = above.all() and below.all() if below.any() else True
        if pooled or not levels_fit or not counted or not self._fits(case):
            return super().step(case, stairs)
        integers = stairs.integers(case.bound)
        if integers is None:
            return super().step(case, stairs)
        shapes = case.input_shape, case.output_shape
        return FastStep(case.linear, stairs, integers, *shapes, case.input_range)

    def sums(self, case: Case, finish: Finish) -> Step:
        """Return a step that computes the sums; `finish` computes the layer's output from them."""
        if not self._multiplies(case):
            return super().sums(case, finish)
        return FastSums(case.linear, case.input_shape, finish)

    def pooled(self, case: Case, pool: GlobalSum) -> Step:
        """Return a step that sums over the map before it rounds; see `GlobalSum`."""
        if not self._multiplies(case):
            return super().pooled(case, pool)
        return FastPooledSums(case.linear, case.input_shape, pool)

    def _multiplies(self, case: Case) -> bool:
        return case.linear.kind in ("conv", "dense") and self._fits(case)

    def _fits(self, case: Case) -> bool:
        return fits(case.linear, case.bound, case.input_range)

    def link(self, layers, steps) -> None:
        """Let steps write their outputs with the padding that their consumers need.

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
            consumers = [
                steps[consumer.name].factors
                for consumer in layers
                if layer.name in consumer.inputs
                and isinstance(steps.get(consumer.name), fast)
                and consumer.input_shapes == (layer.output_shape,)
            ]
            pads = {tuple(factors.window.pads) for factors in consumers}
            plain = all(factors.linear.padding_value is None for factors in consumers)
            if len(pads) == 1 and plain:
                slack = max(factors.slack for factors in consumers)
                step.border = Border(layer.output_shape, *pads, slack)
                for factors in consumers:
                    factors.bordered = True
