"""Draw layers until every pair of their registers' states has been drawn.

A layer's *traits* are its registers and its neighbouring layers; each has a few *states*, such as
"absent", "zero" and "nonzero" for an optional array, or "4" for a width. The states to draw are
derived from the class: a new register adds states, or is refused until its values are declared.
"""

from __future__ import annotations

import ast
import dataclasses
import itertools
import random
import typing
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from simulator import Program
from simulator.layer import Layer

WIRING = ("name", "inputs", "input_shapes")
CANDIDATES = 8
TRIES = 40


@dataclass(frozen=True, eq=False)
class Case:
    """Program with the layer under test, and images for it."""

    program: Program
    subject: Layer
    images: np.ndarray


def states(kind: type[Layer], values: dict[str, tuple]) -> dict[str, tuple[str, ...]]:
    """Return the states of every register of a layer class.

    Parameters
    ----------
    kind : subclass of Layer
    values : mapping of str to tuple
        Values of registers other than arrays and flags, by name.
    """
    hints, found = typing.get_type_hints(kind), {}
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        if field.name in WIRING:
            continue
        if field.name in values:
            found[field.name] = tuple(map(str, values[field.name]))
        elif hint is bool:
            found[field.name] = ("False", "True")
        elif hint is np.ndarray:
            found[field.name] = ("nonzero",)
        elif hint == np.ndarray | None:
            found[field.name] = ("absent", "zero", "nonzero")
        else:
            raise LookupError(f"{kind.__name__}.{field.name}: say in VALUES which values it takes")
    return found


def state(value) -> str:
    """Return the state of a register that holds `value`."""
    if isinstance(value, np.ndarray):
        return "nonzero" if value.any() else "zero"
    return str(value)


def registers(layer: Layer, known: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Return the states of the registers in `known` that a layer has."""
    names = [field.name for field in dataclasses.fields(layer) if field.name in known]
    found = {name: state(getattr(layer, name)) for name in names}
    return {
        name: "absent" if now == "None" and "absent" in known[name] else now
        for name, now in found.items()
    }


class Cover:
    """Pairs of states of one layer class that have not been drawn yet.

    Parameters
    ----------
    chip : module
        Generator of cases: `cases_akida_v1` or `cases_akida_v2`.
    kind : str
    seed : int
    """

    def __init__(self, chip, kind: str, seed: int = 0):
        self.chip, self.kind, self.states = chip, kind, chip.states_of(kind)
        self.random, self.rng = random.Random(seed), np.random.default_rng(seed)
        self.banned: dict[tuple, set] = defaultdict(set)
        self.missing: dict[tuple, None] = {}
        for (one, ones), (other, others) in itertools.combinations(self.states.items(), 2):
            for pair in itertools.product(ones, others):
                first, second = found = tuple(zip((one, other), pair, strict=True))
                if chip.excluded(kind, dict(found)):
                    self.banned[first].add(second)
                    self.banned[second].add(first)
                else:
                    self.missing[found] = None
        self.required = len(self.missing)

    def draw(self, fixed: dict[str, str] | None = None) -> Case:
        """Return a valid case and remove its pairs from the missing ones.

        Parameters
        ----------
        fixed : dict of str to str, optional
            Required states; by default those of a missing pair, if there is one.
        """
        for attempt in range(TRIES):
            base = fixed
            if base is None and self.missing:
                # A pair that never fits does not block the others.
                at = attempt * len(self.missing) // TRIES
                base = dict(next(itertools.islice(self.missing, at, None)))
            drawn = [self._fill(base or {}) for _ in range(CANDIDATES)]
            best = max(filter(None, drawn), key=self._gain, default=None)
            case = best and self.chip.build(self.kind, best, self.rng)
            if case:
                for pair in self._pairs(self.chip.traits(case)):
                    self.missing.pop(pair, None)
                return case
        raise LookupError(f"{self.kind}: no valid layer with {base}")

    def _gain(self, drawn) -> int:
        return sum(pair in self.missing for pair in self._pairs(drawn))

    def _pairs(self, drawn) -> Iterator[tuple]:
        return itertools.combinations([(name, drawn[name]) for name in self.states], 2)

    def _fill(self, base) -> dict[str, str] | None:
        """Return a state for every trait, including those of `base`."""
        drawn, habit = dict(base), self.random.choice([0.2, 0.5, 0.9])
        rest = [name for name in self.states if name not in drawn]
        self.random.shuffle(rest)
        for name in rest:
            items = drawn.items()
            allowed = [now for now in self.states[name] if self.banned[name, now].isdisjoint(items)]
            usual = [now for now in self.chip.USUAL.get(name, ()) if now in allowed]
            if not allowed:
                return None
            usually = usual and self.random.random() < habit
            drawn[name] = self.random.choice(usual if usually else allowed)
        return drawn


def extremes(weights: np.ndarray, bits: int) -> str:
    """Return "dead" if a filter has only zero weights, "huge" if only the largest, else "none".

    Parameters
    ----------
    weights : int array (..., filters)
    bits : int
    """
    weights = np.abs(weights.astype(np.int64)).reshape(-1, weights.shape[-1])
    if not weights.any(axis=0).all():
        return "dead"
    return "huge" if (weights >= ((1 << (bits - 1)) - 1 or 1)).all(axis=0).any() else "none"


def literal(state: str):
    """Return the value of a flag, or of a register whose state is in `VALUES`."""
    return state if state.isalpha() and state[0].islower() else ast.literal_eval(state)


def nonzero(array: np.ndarray) -> np.ndarray:
    """Return an array that is not all zeros."""
    if not array.any():
        array[..., 0] = 1
    return array
