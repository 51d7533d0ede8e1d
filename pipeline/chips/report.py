"""The report of `check`."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.chips.rule import CONVERSION, HARDWARE, Finding

COMPATIBLE = "compatible"
FIXABLE = "compatible after migrate"
INCOMPATIBLE = "incompatible"


@dataclass(frozen=True, kw_only=True)
class Violation(Finding):
    """One place in a model that breaks a rule or limit of a chip.

    Attributes
    ----------
    sentence, source, kind : str
        Wording, public source and kind of the rule.
    fixable : bool
        True if `migrate` repairs it automatically.
    """

    sentence: str
    source: str
    kind: str
    fixable: bool = False

    @property
    def full_fix(self) -> str:
        """The fix; with a transform only where it repairs the violation."""
        return super().full_fix if self.fixable else self.fix

    @property
    def layer(self) -> str:
        """Names of the layers."""
        return ", ".join(self.layers)

    def as_dict(self) -> dict:
        """Return the violation as JSON values."""
        return {
            "layer": self.layer,
            "rule": self.rule,
            "sentence": self.sentence,
            "source": self.source,
            "kind": self.kind,
            "found": self.found,
            "allowed": self.allowed,
            "fix": self.fix,
            "transform": self.transform,
            "fixable": self.fixable,
        }


@dataclass(frozen=True, kw_only=True)
class Report:
    """Every violation of a model on one target.

    Attributes
    ----------
    model, target : str
    verdict : str
        ``compatible``, ``compatible after migrate`` or ``incompatible``: about conversion.
    violations : tuple of Violation
    notes : tuple of str
        Remarks that need no action.
    """

    model: str
    target: str
    verdict: str
    violations: tuple[Violation, ...]
    notes: tuple[str, ...] = ()

    @property
    def conversion(self) -> tuple[Violation, ...]:
        """Violations of conversion rules."""
        return tuple(v for v in self.violations if v.kind == CONVERSION)

    @property
    def hardware(self) -> tuple[Violation, ...]:
        """Violations of hardware limits."""
        return tuple(v for v in self.violations if v.kind == HARDWARE)

    @property
    def fits_chip(self) -> bool:
        """True if no hardware limit is exceeded."""
        return not self.hardware

    def refusals(self) -> list[Violation]:
        """Return the conversion violations that `migrate` cannot repair."""
        return [violation for violation in self.conversion if not violation.fixable]

    def reasons(self) -> list[str]:
        """Return one line for each of `refusals`."""
        return [str(violation) for violation in self.refusals()]

    def as_dict(self) -> dict:
        """Return the report as JSON values."""
        return {
            "model": self.model,
            "target": self.target,
            "verdict": self.verdict,
            "fits_hardware_limits": self.fits_chip,
            "violations": [violation.as_dict() for violation in self.violations],
            "notes": list(self.notes),
        }
