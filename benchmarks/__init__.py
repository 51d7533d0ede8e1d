"""Benchmarks: figures of the documentation, each reproducible by a command."""
