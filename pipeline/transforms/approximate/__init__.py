"""Transforms that change a model's outputs, and report by how much."""
