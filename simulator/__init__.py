"""Emulator of Akida chips: integer programs on NumPy and the standard library alone.

Layouts throughout this package: activations are ``(n, height, width, channels)`` (NHWC), kernels
``(height, width, channels, filters)`` (HWIO), vectors ``(n, 1, 1, features)``.
"""

from simulator.engine import simulate
from simulator.errors import ProgramError
from simulator.program import Program

__all__ = ["Program", "ProgramError", "simulate"]
