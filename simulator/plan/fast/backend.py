"""Backend ``fast``: selects the step that computes a layer, NumPy's if none of its own can."""

from __future__ import annotations

from dataclasses import replace

from simulator.plan.case import Case
from simulator.plan.fast.factors import Factors, fits, narrowest
from simulator.plan.fast.kernels import Kernels, kernels
from simulator.plan.fast.levels import Levels
from simulator.plan.fast.processor import Processor, chosen
from simulator.plan.fast.step import FastPooledSums, FastScale, FastStep, FastSums
from simulator.plan.fast.tensor import Layout
from simulator.plan.global_pool import GlobalSum
from simulator.plan.numpy_backend import Finish, NumpyBackend, Step, consuming
from simulator.plan.proofs import Staircase


class FastBackend(NumpyBackend):
    """Backend with 8-bit or 16-bit factors, 32-bit sums and compiled loops.

    Parameters
    ----------
    processor : Processor, optional
        Kind to compile for; the default is that of `simulator.plan.fast.processor.chosen`.
    """

    def __init__(self, processor: Processor | None = None):
        self.kernels: Kernels = kernels(processor or chosen())

    def narrow(self, case: Case) -> bool:
        """Return True if 32-bit integers or float32 hold all sums exactly."""
        return self._fits(case) or super().narrow(case)

    def step(self, case: Case, stairs: Staircase) -> Step | None:
        """Return a step that applies a proven staircase; None if no form of it is exact."""
        pooled = case.linear.kind == "depthwise" and case.linear.pool_size is not None
        levels = None if pooled or not self._fits(case) else self._levels(stairs, case.bound)
        if levels is None:
            return super().step(case, stairs) if super().narrow(case) else None
        return FastStep(self._factors(case), levels, self._output(case, stairs))

    def sums(self, case: Case, finish: Finish) -> Step:
        """Return a step that computes the sums; `finish` computes the layer's output from them."""
        if not self._multiplies(case):
            return super().sums(case, finish)
        return FastSums(self._factors(case), finish)

    def accumulators(self, case: Case, finish: Finish, bias) -> Step:
        """Return a step whose output is the sums plus bias, int64."""
        largest = case.bound + int(abs(bias).max(initial=0))
        if not self._multiplies(case) or largest >= 1 << 31:
            return self.sums(case, finish)
        return FastSums(self._factors(case), None, bias)

    def pooled(self, case: Case, pool: GlobalSum) -> Step:
        """Return a step that sums over the map before it rounds; see `GlobalSum`."""
        if not self._multiplies(case) or pool.largest >= 1 << 31:
            return super().pooled(case, pool)
        stairs, levels = pool.stairs, None
        if stairs is not None:
            levels = self._levels(stairs, pool.largest)
        output = self._output(case, stairs) if levels is not None else None
        return FastPooledSums(self._factors(case), pool, levels, output)

    def scaled(self, scales, shape) -> FastScale:
        """Return a step that multiplies integers by float32 scales."""
        return FastScale(scales, shape)

    def _levels(self, stairs: Staircase, bound: int) -> Levels | None:
        # Saturated values get one more level at either end.
        fit = stairs.low > -(1 << 15) and stairs.low + len(stairs.first) + 1 < 1 << 15
        integers = stairs.integers(bound) if fit else None
        return None if integers is None else Levels(stairs, integers, self.kernels.vectors)

    def _output(self, case: Case, stairs: Staircase) -> Layout:
        dtype = narrowest(stairs.low, int(stairs.high.max()), self.kernels.processor.dots)
        return Layout(tuple(case.output_shape), dtype)

    def _factors(self, case: Case) -> Factors:
        return Factors(case.linear, case.input_shape, case.input_range, self.kernels)

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
            consumers = [sums.factors for sums in consuming(layer, layers, steps, fast)]
            pads = {factors.layout.pads for factors in consumers}
            if len(pads) == 1 and step.output.shape == layer.output_shape:
                step.output = replace(step.output, pads=pads.pop())
