"""A reason against a model or a layer, in parts: where, what was found, what is allowed, a cure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """One reason.

    Attributes
    ----------
    layers : tuple of str
        Names of the layers; empty if it concerns the whole model.
    found, allowed, fix : str
        Short phrases for users; `allowed` and `fix` are empty where nothing can be said.
    rule : str
        Name of the rule or limit.
    """

    layers: tuple[str, ...] = ()
    found: str
    allowed: str = ""
    fix: str = ""
    rule: str = ""

    @property
    def cure(self) -> str:
        """What to do, in full."""
        return self.fix

    def __str__(self) -> str:
        """Return the reason in one line."""
        return _line([(self.layers, self.found)], self.allowed, self.cure)


def refusal_lines(refusals: Iterable[Refusal]) -> list[str]:
    """Return one line for each rule and cure, with all its layers; equal findings are merged.

    Refusals without a rule keep a line of their own.
    """
    groups: dict[tuple, dict[str, list[str]]] = {}
    for number, refusal in enumerate(refusals):
        apart = "" if refusal.rule and refusal.layers else number
        key = (refusal.rule, refusal.allowed, refusal.cure, apart)
        layers = groups.setdefault(key, {}).setdefault(refusal.found, [])
        layers += [layer for layer in refusal.layers if layer not in layers]
    return [
        _line([(layers, found) for found, layers in found.items()], allowed, cure)
        for (_, allowed, cure, _), found in groups.items()
    ]


def _line(findings, allowed: str, cure: str) -> str:
    """Return findings, each a pair of layers and what was found there, with what they share."""
    parts = [f"{', '.join(layers)}: {found}" if layers else found for layers, found in findings]
    parts += [f"allowed: {allowed}"] if allowed else []
    return "; ".join(parts + ([cure] if cure else []))
