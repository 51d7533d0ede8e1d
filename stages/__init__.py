"""Stages of dvc.yaml, one module each: load inputs, call the pipeline, write outputs."""

from pipeline import quiet_interrupt  # noqa: F401
