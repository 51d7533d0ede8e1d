"""The chips: one package each, found by name, and what is asked of all of them."""

from __future__ import annotations

from pipeline.chips.chip import Chip, chip, known_targets, newest_for
from pipeline.chips.conversion import convert

__all__ = ["Chip", "chip", "convert", "known_targets", "newest_for"]
