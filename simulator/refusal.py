"""Reason to refuse a model or layer, in parts: where, what was found, what is allowed, the fix."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MOST_NAMES, MOST_FINDINGS = 10, 10
"""Names of layers for one finding, and different findings in one line."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Reason to refuse a model or layer.

    Attributes
    ----------
    layers : tuple of str
        Names of the layers; empty for the whole model.
    found, allowed, fix : str
        Short phrases for users; `allowed` and `fix` may be empty.
    rule : str
        Name of the rule or limit; may be empty.
    """

    layers: tuple[str, ...] = ()
    found: str
    allowed: str = ""
    fix: str = ""
    rule: str = ""

    @property
    def full_fix(self) -> str:
        """Complete advice; subclasses may add to `fix`."""
        return self.fix

    def __str__(self) -> str:
        """Return the reason in one line."""
        return _line([(self.layers, self.found)], self.allowed, self.full_fix)


def refusal_lines(refusals: Iterable[Refusal]) -> list[str]:
    """Return one line for each rule and fix, with its layers; equal findings are merged.

    Without a rule, only equal findings share a line. Of many layers, and of many findings, the
    first ones are named and the others counted.
    """
    groups: dict[tuple, dict[str, list[str]]] = {}
    for refusal in refusals:
        apart = "" if refusal.rule and refusal.layers else refusal.found
        key = (refusal.rule, refusal.allowed, refusal.full_fix, apart)
        layers = groups.setdefault(key, {}).setdefault(refusal.found, [])
        layers += [layer for layer in refusal.layers if layer not in layers]
    return [
        _line([(layers, found) for found, layers in found.items()], allowed, fix)
        for (_, allowed, fix, _), found in groups.items()
    ]


def _line(findings, allowed: str, fix: str) -> str:
    """Format findings, pairs of (layers, found), and the allowed values and fix they share."""
    parts = [f"{_names(layers)}: {found}" if layers else found for layers, found in findings]
    if (more := len(parts) - MOST_FINDINGS) > 1:
        parts[MOST_FINDINGS:] = [f"and {more} other findings of this kind"]
    parts += [f"allowed: {allowed}"] if allowed else []
    return "; ".join(parts + ([fix] if fix else []))


def _names(layers) -> str:
    more = len(layers) - MOST_NAMES
    shown = layers if more <= 1 else [*layers[:MOST_NAMES], f"{more} other layers"]
    return ", ".join(shown)
