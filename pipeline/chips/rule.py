"""A rule of a chip's converter: a function whose docstring states the rule."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from pipeline.chips.blocks import View
from pipeline.messages.settings import setting
from simulator.refusal import Refusal

CONVERSION, HARDWARE = "conversion", "hardware limit"
"""Kinds of rules: the converter refuses the model, or the hardware cannot hold it."""


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
        """The fix, and the transform that may apply it."""
        if self.transform is None:
            return self.fix
        return f"{self.fix} ({setting('transforms.names', self.transform)})"


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes
    ----------
    find : function of View to findings
        The function's name is the rule's name, and the first paragraph of its docstring the rule's
        sentence.
    source : str
        The public document that states the rule.
    emulated : bool
        True if the vendor's converter refuses such a model although the emulator's arithmetic
        defines it: `convert` reports the finding, and returns a program.
    """

    find: Callable[[View], Iterator[Finding]]
    source: str
    emulated: bool = False

    kind = CONVERSION

    @property
    def name(self) -> str:
        """Name of the rule."""
        return self.find.__name__

    @property
    def sentence(self) -> str:
        """The rule in words, with constants of its module filled in."""
        text = " ".join(inspect.getdoc(self.find).split("\n\n")[0].split())
        return text.format_map(self.find.__globals__)

    def findings(self, view: View) -> Iterator[Finding]:
        """Yield every place where the rule does not hold."""
        for finding in self.find(view):
            yield replace(finding, rule=self.name)
