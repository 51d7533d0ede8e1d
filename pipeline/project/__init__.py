"""Folders in which the installed package runs the pipeline: ``crossgrade init``."""
