"""Layers with a global sum: bounded accumulators are summed over the map before rounding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simulator.integer import Tally
from simulator.plan.case import Case
from simulator.plan.numpy_step import NumpySums
from simulator.plan.proofs import LIMITS, Staircase, exact_dtype
from simulator.plan.workspace import Workspace


@dataclass(frozen=True, eq=False, kw_only=True)
class GlobalSum:
    """Operations on sums of products before and after they are summed over the map.

    Attributes
    ----------
    bias : int64 (filters,)
        Added to each sum.
    low, high : int64 (filters,) or None
        Bounds of each sum plus bias; None is unbounded.
    finish : function (int64 totals, tally) -> array
        Computes the layer's output.
    largest : int
        Largest magnitude of a total; steps need one that float64 holds.
    stairs : Staircase or None
        The layer's output as a staircase of the totals, without its counts of saturated values;
        None if there is none.
    """

    bias: np.ndarray
    low: np.ndarray | None
    high: np.ndarray | None
    finish: Callable[[np.ndarray, Tally | None], np.ndarray]
    largest: int
    stairs: Staircase | None


class PooledSums(NumpySums):
    """Step that computes one layer up to its global sum in floats.

    Exact: the dtype holds sums plus bias, totals are below 2**53, and as many values are added in
    the dtype as it holds.
    """

    def __init__(self, case: Case, pool: GlobalSum):
        super().__init__(case, more=int(np.abs(pool.bias).max(initial=0)))
        exact_dtype(pool.largest)
        self.pool, self._pooled = pool, True
        self.path = "sums pooled"
        width = self.sums_shape[1]
        self.bias, self.low, self.high = (
            None if bound is None else np.tile(bound, width).astype(self.input_dtype)
            for bound in (pool.bias, pool.low, pool.high)
        )
        positions = self.sums_shape[0] * self.sums_shape[1]
        largest = max(1, -(-pool.largest // positions))
        most = max(1, (LIMITS[self.input_dtype] - 1) // largest)
        fitting = (n for n in range(1, positions + 1) if positions % n == 0 and n <= most)
        self._ones = np.ones(max(fitting), self.input_dtype)

    def run(self, x: np.ndarray, work: Workspace, tally: Tally | None = None) -> np.ndarray:
        """Return the layer's output for integer-valued inputs (n, h, w, c)."""
        totals = np.empty((len(x), 1, 1, self.linear.filters), np.int64)
        for images, _, found in self._parts(x, work):
            sums = np.ascontiguousarray(found[:, :, : self.sums_shape[1]])
            rows = sums.reshape(-1, self.sums_shape[1] * sums.shape[3])
            np.add(rows, self.bias, out=rows)
            if self.low is not None:
                np.maximum(rows, self.low, out=rows)
            if self.high is not None:
                np.minimum(rows, self.high, out=rows)
            totals[images, 0, 0] = self._total(sums)
        return self.pool.finish(totals, tally)

    def _total(self, sums: np.ndarray) -> np.ndarray:
        """Return the sum over the map, float64 (n, filters)."""
        parts = sums.reshape(len(sums), -1, len(self._ones), sums.shape[3])
        return np.matmul(self._ones, parts).sum(axis=1, dtype=np.float64)
