"""Measure programs: accuracy, agreement, cost, and differences between two programs."""
