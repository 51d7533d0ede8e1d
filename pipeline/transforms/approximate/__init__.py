"""Rewrites that change what a model computes, and report by how much."""
