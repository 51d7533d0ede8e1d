"""The integer program of a search: one width for each site, least loss, within a budget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from pipeline.analysis.budget import (
    ACTIVATION_KIB,
    MACS_BITS,
    MEMORY_KIB,
    WEIGHT_KIB,
    input_bits,
    live_maps,
    map_bits,
    weight_bits,
)
from pipeline.analysis.widths import WEIGHTS, Site
from simulator import Program

Losses = Mapping[Site, Mapping[int, float]]


class IntegerProgram:
    """Binary variables: one for each width of each site, one for each pair that multiplies.

    Parameters
    ----------
    losses : mapping of (node, key) to mapping of int to float
        By site, and by width that it may have: what it loses.
    base : Program
        With the widest widths.
    ends : mapping of str to (node, key)
        By layer, the site of its output.
    """

    def __init__(self, losses: Losses, base: Program, ends: Mapping[str, Site]):
        self.losses, self.base, self.ends = losses, base, ends
        self.names = [(site, bits) for site, options in losses.items() for bits in sorted(options)]
        self.place = {name: n for n, name in enumerate(self.names)}
        self.cost = [losses[site][bits] for site, bits in self.names]
        self.rows: list[tuple[dict[int, float], float, float]] = [
            ({self.place[site, bits]: 1.0 for bits in options}, 1.0, 1.0)
            for site, options in losses.items()
        ]

    def within(self, budget: Mapping[str, float]) -> None:
        """Require a budget."""
        if WEIGHT_KIB in budget:
            self._limit(self._weights(), budget[WEIGHT_KIB] * 1024)
        if MACS_BITS in budget:
            self._limit_macs(budget[MACS_BITS])
        for maps in self._maps():
            if ACTIVATION_KIB in budget:
                self._limit(maps, budget[ACTIVATION_KIB] * 1024)
            if MEMORY_KIB in budget:
                self._limit(maps + self._weights(), budget[MEMORY_KIB] * 1024)

    def exclude(self, widths: Mapping[Site, int]) -> None:
        """Rule one combination out."""
        places = [self.place[name] for name in widths.items() if name in self.place]
        self.rows.append((dict.fromkeys(places, 1.0), -np.inf, len(self.losses) - 1.0))

    def solve(self) -> dict[Site, int] | None:
        """Return the width of each site, or None if no widths are within the budget."""
        from scipy.optimize import Bounds, LinearConstraint, milp

        matrix = np.zeros((len(self.rows), len(self.cost)))
        for n, (row, _, _) in enumerate(self.rows):
            matrix[n, list(row)] = list(row.values())
        lows, highs = ([row[side] for row in self.rows] for side in (1, 2))
        result = milp(
            self.cost,
            constraints=LinearConstraint(matrix, lows, highs),
            integrality=np.ones(len(self.cost)),
            bounds=Bounds(0, 1),
        )
        if result.x is None:
            return None
        return {site: bits for n, (site, bits) in enumerate(self.names) if result.x[n] > 0.5}

    def _widths(self, site: Site | None, fixed: int) -> list[tuple[int, int | None]]:
        """Return the widths of a site with their variables; one without variable where fixed."""
        if site not in self.losses:
            return [(fixed, None)]
        return [(bits, self.place[site, bits]) for bits in sorted(self.losses[site])]

    def _limit(self, sizes: list[tuple[float, int | None]], most: float) -> None:
        """Bound a sum of bytes, each with the variable of its width, or None where it is fixed."""
        total: dict[int | None, float] = {None: 0.0}
        for size, place in sizes:
            total[place] = total.get(place, 0.0) + size
        fixed = total.pop(None)
        self.rows.append((total, -np.inf, most - fixed))

    def _weights(self) -> list[tuple[float, int | None]]:
        """Return the bytes of each layer's weights, by width."""
        return [
            (-(-layer.weight_bytes * 8 // weight_bits(layer) * bits // 8), place)
            for layer in self.base.layers
            if layer.weight_bytes
            for bits, place in self._widths((layer.name, WEIGHTS), weight_bits(layer))
        ]

    def _limit_macs(self, most: float) -> None:
        total: dict[int, float] = {}
        for layer in self.base.layers:
            if not layer.macs:
                continue
            source = self.ends.get(layer.inputs[0]) if len(layer.inputs) == 1 else None
            weights = self._widths((layer.name, WEIGHTS), weight_bits(layer))
            inputs = self._widths(source, input_bits(self.base, layer))
            pairs = {}
            for w, _ in weights:
                for a, _ in inputs:
                    pairs[w, a] = len(self.cost)
                    self.cost.append(0.0)
                    total[pairs[w, a]] = float(layer.macs * w * a)
            for w, place in weights:
                self._tie({pairs[w, a] for a, _ in inputs}, place)
            for a, place in inputs:
                self._tie({pairs[w, a] for w, _ in weights}, place)
        self.rows.append((total, -np.inf, most))

    def _tie(self, pairs, place: int | None) -> None:
        """Require that pairs sum to a width's variable; to 1 where the width is fixed."""
        row = dict.fromkeys(pairs, 1.0)
        if place is None:
            self.rows.append((row, 1.0, 1.0))
        else:
            self.rows.append(({**row, place: -1.0}, 0.0, 0.0))

    def _maps(self) -> Iterator[list[tuple[float, int | None]]]:
        """Yield the bytes of the maps that exist while each layer runs, by width."""
        widths = map_bits(self.base)
        for _, alive in live_maps(self.base):
            yield [
                (values * bits / 8, place)
                for name, values in alive.items()
                for bits, place in self._widths(self.ends.get(name), widths[name])
            ]
