"""A rule of a chip's converter: a small function whose docstring is the rule."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from pipeline.chips.blocks import View
from simulator.refusal import Refusal

CONVERSION, HARDWARE = "conversion", "hardware limit"
"""Kinds of rules: what the converter refuses, and what does not fit the chip."""


@dataclass(frozen=True, kw_only=True)
class Finding(Refusal):
    """One place where a rule does not hold.

    Attributes
    ----------
    transform : str or None
        The transform that may repair it.
    """

    transform: str | None = None

    @property
    def full_fix(self) -> str:
        """What to do, and the transform that may do it."""
        return f"{self.fix} (transform {self.transform})" if self.transform else self.fix


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes
    ----------
    find : function of View to findings
        Its name is the rule's, and the first paragraph of its docstring the rule's sentence.
    source : str
        The public document that states the rule.
    emulated : bool
        The vendor's converter refuses such a model, while the emulator's arithmetic defines it:
        `convert` reports it, and makes a program.
    """

    find: Callable[[View], Iterator[Finding]]
    source: str
    emulated: bool = False

    kind = CONVERSION

    @property
    def name(self) -> str:
        """Identifier of the rule."""
        return self.find.__name__

    @property
    def sentence(self) -> str:
        """The rule, for users; it may quote constants of its module."""
        text = " ".join(inspect.getdoc(self.find).split("\n\n")[0].split())
        return text.format_map(self.find.__globals__)

    def findings(self, view: View) -> Iterator[Finding]:
        """Yield every place where the rule does not hold."""
        for finding in self.find(view):
            yield replace(finding, rule=self.name)
