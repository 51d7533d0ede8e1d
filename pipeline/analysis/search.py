"""Find widths per layer that lose least within a budget, by an integer program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pipeline.analysis.sensitivity import Score, Sensitivities, Variants, score
from pipeline.analysis.widths import WEIGHTS, Choice
from pipeline.errors import ConfigError
from pipeline.graph.forward import forward
from simulator import Program, simulate

WEIGHT_KIB, MACS_BITS = "weight_kib", "macs_bits"
BUDGETS = {
    WEIGHT_KIB: "weight memory in KiB",
    MACS_BITS: "bits multiplied per image: MACs times bits of weights times bits of inputs",
}
WIDEST = 8
STEPS = 8
"""Budgets that are tried for a largest loss: halving eight times places it to 1/256."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """Widths that were found, verified on the emulator.

    Attributes
    ----------
    choices : tuple of Choice
        The widths other than 8 bits.
    score : Score
    predicted : float
        Sum of the single increases of loss.
    weight_bytes, macs_bits : int
        Of the program.
    """

    choices: tuple[Choice, ...]
    score: Score
    predicted: float
    weight_bytes: int
    macs_bits: int


class Search:
    """The widths of one model, its sensitivities, and images to verify on.

    Parameters
    ----------
    variants : Variants
    sensitivities : Sensitivities
        Of the same model.
    images, labels
        Those of the sensitivities.
    """

    def __init__(self, variants: Variants, sensitivities: Sensitivities, images, labels=None):
        self.variants, self.sensitivities = variants, sensitivities
        self.images, self.labels = images, labels
        self.wanted = forward(variants.graph, images)
        self.sites: dict[tuple[str, str], dict[int, tuple[float, int]]] = {}
        for entry in sensitivities.entries:
            choice = entry.choice
            site = self.sites.setdefault((choice.layer, choice.key), {WIDEST: (0.0, 0)})
            site[choice.bits] = (max(entry.increase, 0.0), entry.bytes_saved)

    def within(self, budget: Mapping[str, float]) -> Found:
        """Return the widths of least predicted loss within a budget.

        Parameters
        ----------
        budget : mapping of str to float
            Some of `BUDGETS`.

        Raises
        ------
        ConfigError
            If no widths are small enough; the message has the least that is possible.
        """
        return self.verified(self._solve(budget))

    def least(self, loss: float) -> Found:
        """Return the smallest weights that lose at most `loss`, verified on the emulator.

        Parameters
        ----------
        loss : float
            Of accuracy against the float model with labels, else share of images whose class
            changes.

        Raises
        ------
        ConfigError
            If 8 bits everywhere lose more, or the outputs are no classes.
        """
        widest = self.verified(())
        if self._lost(widest) > loss:
            raise ConfigError(
                f"largest loss {loss:g}: 8 bits everywhere lose {self._lost(widest):.4f} on"
                f" {len(self.images)} images; allow more"
            )
        low, high, best = self._least_bytes(), float(self.sensitivities.weight_bytes), widest
        for _ in range(STEPS):
            middle = (low + high) / 2
            found = self.within({WEIGHT_KIB: middle / 1024})
            if self._lost(found) <= loss:
                high, best = middle, found
            else:
                low = middle
        return best

    def verified(self, choices: tuple[Choice, ...]) -> Found:
        """Return the widths with the emulator's score and the program's cost."""
        program = self.variants.program(choices)
        outputs = simulate(program, self.images)
        return Found(
            choices=choices,
            score=score(self.wanted, outputs, self.labels),
            predicted=sum(self.sites[c.layer, c.key][c.bits][0] for c in choices),
            weight_bytes=sum(layer.weight_bytes for layer in program.layers),
            macs_bits=macs_bits(program),
        )

    def uniform(self, bits: int) -> Found:
        """Return one width for all kernels and outputs that take it."""
        return self.verified(
            tuple(
                Choice(layer=layer, key=key, bits=bits)
                for (layer, key), options in self.sites.items()
                if bits in options and bits != WIDEST
            )
        )

    def _lost(self, found: Found) -> float:
        if found.score.agreement is None:
            raise ConfigError("a largest loss needs outputs that are one per class; give a budget")
        if self.labels is None:
            return 1 - found.score.agreement
        predicted = self.wanted.reshape(len(self.wanted), -1).argmax(axis=-1)
        return float(np.mean(predicted == self.labels)) - found.score.accuracy

    def _least_bytes(self) -> float:
        saved = sum(
            max(saved for _, saved in options.values())
            for (_, key), options in self.sites.items()
            if key == WEIGHTS
        )
        return float(self.sensitivities.weight_bytes - saved)

    def _solve(self, budget: Mapping[str, float]) -> tuple[Choice, ...]:
        program = _Integer(self.sites, self.variants.base, self.variants.ends)
        if WEIGHT_KIB in budget:
            spare = self.sensitivities.weight_bytes - budget[WEIGHT_KIB] * 1024
            program.save_bytes(spare)
        if MACS_BITS in budget:
            program.limit_macs(budget[MACS_BITS])
        chosen = program.solve()
        if chosen is None:
            wanted = ", ".join(f"{name}={value:g}" for name, value in budget.items())
            smallest = self.uniform(min(b for o in self.sites.values() for b in o))
            raise ConfigError(
                f"budget {wanted}: no widths are small enough; the smallest have"
                f" {WEIGHT_KIB}={self._least_bytes() / 1024:.2f} and"
                f" {MACS_BITS}={smallest.macs_bits}"
            )
        return tuple(
            Choice(layer=layer, key=key, bits=bits)
            for (layer, key), bits in chosen.items()
            if bits != WIDEST
        )


class _Integer:
    """The integer program: one width of each site, linear in binary variables."""

    def __init__(self, sites, base: Program, ends: Mapping[str, str]):
        self.sites, self.base, self.ends = sites, base, ends
        self.names = [(site, bits) for site, options in sites.items() for bits in sorted(options)]
        self.place = {name: n for n, name in enumerate(self.names)}
        self.cost = [sites[site][bits][0] for site, bits in self.names]
        self.rows: list[tuple[dict[int, float], float, float]] = [
            ({self.place[site, bits]: 1.0 for bits in options}, 1.0, 1.0)
            for site, options in sites.items()
        ]

    def save_bytes(self, wanted: float) -> None:
        """Require that weights take so many bytes less than at 8 bits."""
        row = {
            n: float(self.sites[site][bits][1])
            for n, (site, bits) in enumerate(self.names)
            if site[1] == WEIGHTS
        }
        self.rows.append((row, wanted, np.inf))

    def limit_macs(self, most: float) -> None:
        """Bound the bits multiplied; each pair of widths of a layer has a variable."""
        total: dict[int, float] = {}
        outputs = {site[0]: site for site in self.sites if site[1] != WEIGHTS}
        for layer, source, fixed in _products(self.base, self.ends, outputs):
            site = (layer.name, WEIGHTS)
            weights = sorted(self.sites.get(site, {layer_bits(layer): None}))
            inputs = sorted(self.sites[outputs[source]]) if source else [fixed]
            pairs = {}
            for w in weights:
                for a in inputs:
                    pairs[w, a] = len(self.cost)
                    self.cost.append(0.0)
                    total[pairs[w, a]] = float(layer.macs * w * a)
            for w in weights:
                self._tie({pairs[w, a] for a in inputs}, self.place.get((site, w)))
            for a in inputs:
                place = self.place[outputs[source], a] if source else None
                self._tie({pairs[w, a] for w in weights}, place)
        self.rows.append((total, -np.inf, most))

    def _tie(self, pairs, place: int | None) -> None:
        """Require that pairs sum to a width's variable; to 1 where the width is fixed."""
        row = dict.fromkeys(pairs, 1.0)
        if place is None:
            self.rows.append((row, 1.0, 1.0))
        else:
            self.rows.append(({**row, place: -1.0}, 0.0, 0.0))

    def solve(self) -> dict[tuple[str, str], int] | None:
        """Return the width of each site, or None if the rows contradict each other."""
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


def macs_bits(program: Program) -> int:
    """Return the bits multiplied per image: MACs, times bits of weights, times bits of inputs."""
    return sum(
        layer.macs * layer_bits(layer) * _input_bits(program, layer)
        for layer in program.layers
        if layer.macs
    )


def layer_bits(layer) -> int:
    """Return the bits of a layer's weights, 8 where it has none of its own."""
    return layer.traits().get("weight_bits") or WIDEST


def _input_bits(program: Program, layer) -> int:
    widths = [program.by_name[name].traits().get("output_bits") for name in layer.inputs]
    return max((bits for bits in widths if bits), default=WIDEST)


def _products(base: Program, ends: Mapping[str, str], outputs: Mapping[str, tuple]):
    """Yield (layer, node whose width is the input's or None, fixed bits) where layers multiply."""
    for layer in base.layers:
        if layer.macs:
            node = ends.get(layer.inputs[0]) if len(layer.inputs) == 1 else None
            yield layer, node if node in outputs else None, _input_bits(base, layer)
