"""Chips: one package per chip, discovered by name, and the code that all chips share."""

from __future__ import annotations

from pipeline.chips.chip import Chip, chip, known_targets, newest_for
from pipeline.chips.conversion import convert

__all__ = ["Chip", "chip", "convert", "known_targets", "newest_for"]
