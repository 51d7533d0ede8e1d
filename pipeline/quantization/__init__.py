"""Quantize float graphs to integers: calibrate, equalize, quantize."""
