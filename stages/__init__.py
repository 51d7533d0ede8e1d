"""Stages of dvc.yaml, one module each: load inputs, call the pipeline, write outputs."""
