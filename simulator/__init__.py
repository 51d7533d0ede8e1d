"""Emulator of Akida chips: integer programs on NumPy and the standard library alone.

Layouts throughout this package: activations are ``(n, height, width, channels)`` (NHWC), kernels
``(height, width, channels, filters)`` (HWIO), vectors ``(n, 1, 1, features)``.
"""

from simulator.quiet_interrupt import end_at_once

end_at_once()  # before NumPy is imported

from simulator.engine import simulate  # noqa: E402
from simulator.errors import ProgramError  # noqa: E402
from simulator.program import Program  # noqa: E402

__all__ = ["Program", "ProgramError", "simulate"]
