"""Sweeps: one point per combination, each in its own workspace, and their comparison."""
