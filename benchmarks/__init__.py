"""Figures of the documentation, each one reproducible by a command."""
