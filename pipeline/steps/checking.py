"""Check a model against a chip: ``crossgrade.check``."""

from __future__ import annotations

from typing import Any

from pipeline.steps.python import step
from pipeline.steps.reading import as_float


class Checked:
    """The rules and limits of a chip that a model breaks.

    Attributes
    ----------
    report : pipeline.chips.report.Report
        Every violation, with its source and fix.
    """

    def __init__(self, report: Any):
        self.report = report

    def __repr__(self) -> str:
        return f"<Checked {self.report.model!r} on {self.report.target}: {self.verdict}>"

    @property
    def verdict(self) -> str:
        """``compatible``, ``compatible after migrate`` or ``incompatible``."""
        return self.report.verdict

    @property
    def compatible(self) -> bool:
        """True if the model can be converted as it is."""
        from pipeline.chips.report import COMPATIBLE

        return self.verdict == COMPATIBLE

    @property
    def violations(self) -> tuple:
        """Each violation: layers, what was found, what is allowed, and the fix."""
        return self.report.violations

    def summary(self) -> None:
        """Print the verdict and every violation."""
        from pipeline.chips.table import table

        print(table(self.report))

    def as_dict(self) -> dict:
        """Return the report as JSON values."""
        return self.report.as_dict()


@step
def check(model: Any, target: str = "akida_v2") -> Checked:
    """List every place in a float model that a chip cannot run.

    Nothing is trained or quantized.

    Parameters
    ----------
    model : path-like, str, mapping, Keras model or FloatModel
        As in `crossgrade.read`.
    target : str
        Name of the chip: ``akida_v1`` or ``akida_v2``.

    Returns
    -------
    Checked

    Raises
    ------
    ModelError
        If the model cannot be read, or is quantized.
    """
    from pipeline.chips.check import check as check_graph

    return Checked(check_graph(as_float(model).graph, target))
