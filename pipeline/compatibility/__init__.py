"""Whether a float model fits a chip: every violation at once, before any training."""

from __future__ import annotations

from pipeline.compatibility.check import check
from pipeline.compatibility.report import Report, Violation

__all__ = ["Report", "Violation", "check"]
