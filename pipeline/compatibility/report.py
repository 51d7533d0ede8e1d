"""What `check` found."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from pipeline.compatibility.rule import CONVERSION, HARDWARE

COMPATIBLE = "compatible"
FIXABLE = "compatible after migrate"
INCOMPATIBLE = "incompatible"


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One place where a model breaks a rule of a chip.

    Attributes
    ----------
    layer, rule, sentence, source, kind : str
        Name of the layer; name, wording, public source and kind of the rule.
    found, allowed, fix : str
    transform : str or None
        The transform that repairs it.
    fixable : bool
        Whether `migrate` repairs it by itself.
    """

    layer: str
    rule: str
    sentence: str
    source: str
    kind: str
    found: str
    allowed: str
    fix: str
    transform: str | None = None
    fixable: bool = False


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
        """Whether no hardware limit is exceeded."""
        return not self.hardware

    def reasons(self) -> list[str]:
        """Return one line for each conversion violation that `migrate` cannot repair."""
        return [
            f"{v.layer}: {v.found}; allowed: {v.allowed}; {v.fix}"
            for v in self.conversion
            if not v.fixable
        ]

    def as_dict(self) -> dict:
        """Return JSON values."""
        return {
            "model": self.model,
            "target": self.target,
            "verdict": self.verdict,
            "fits_hardware_limits": self.fits_chip,
            "violations": [asdict(violation) for violation in self.violations],
            "notes": list(self.notes),
        }
