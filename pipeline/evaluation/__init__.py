"""Measure programs: accuracy, agreement, cost, and the difference of two programs."""
