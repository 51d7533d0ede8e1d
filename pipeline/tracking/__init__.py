"""Runs and their figures: what a run leaves, where it is recorded, and the tables it ends with."""
