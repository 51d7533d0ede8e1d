"""Quantization schemes: one module per workflow, each with ``quantize``."""
