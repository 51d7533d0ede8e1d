"""A rule of a chip or of its converter: a small function whose docstring is the rule."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipeline.compatibility.blocks import View

CONVERSION, HARDWARE = "conversion", "hardware limit"
"""Kinds of rules: what makes a program meaningless, and what makes it not fit the chip."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One place where a rule does not hold.

    Attributes
    ----------
    layer : str
    found, allowed, fix : str
        Short phrases for users.
    transform : str or None
        The transform that may repair it.
    """

    layer: str
    found: str
    allowed: str
    fix: str
    transform: str | None = None


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes
    ----------
    find : function of View to findings
        Its name is the rule's, and the first paragraph of its docstring the rule's sentence.
    source : str
        The public document that states the rule.
    kind : str
        `CONVERSION` or `HARDWARE`.
    """

    find: Callable[[View], Iterator[Finding]]
    source: str
    kind: str = CONVERSION

    @property
    def name(self) -> str:
        """Identifier of the rule."""
        return self.find.__name__

    @property
    def sentence(self) -> str:
        """The rule, for users."""
        return " ".join(inspect.getdoc(self.find).split("\n\n")[0].split())


@dataclass(frozen=True, kw_only=True)
class Chip:
    """What is known about one chip.

    Attributes
    ----------
    name : str
        Of the target.
    normalise : function of Graph to (Graph, list of str)
        Reorders and folds what the chip's converter does by itself; notes say what.
    rules : tuple of Rule
    transforms : tuple of str
        Transforms that `migrate` applies on its own, in order.
    notes : function of View to str lines
        Remarks that are no violations.
    """

    name: str
    normalise: Callable
    rules: tuple[Rule, ...]
    transforms: tuple[str, ...]
    notes: Callable[[View], Iterator[str]]
