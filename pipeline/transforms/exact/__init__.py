"""Rewrites that keep what a model computes: functions of a graph alone, one file each."""
