"""Transforms that keep a model's outputs: functions of the graph alone, one file each."""
