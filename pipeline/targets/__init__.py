"""Chips to convert to: one module each, found by name."""

from pipeline.targets.target import Target, convert, known_targets, newest_for, target

__all__ = ["Target", "convert", "known_targets", "newest_for", "target"]
