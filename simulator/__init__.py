"""Emulator of Akida chips: integer programs on NumPy and the standard library alone.

Layouts throughout this package: activations are ``(n, height, width, channels)`` (NHWC), kernels
``(height, width, channels, filters)`` (HWIO), vectors ``(n, 1, 1, features)``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from simulator.quiet_interrupt import end_at_once

if TYPE_CHECKING:
    from simulator.engine import simulate
    from simulator.errors import ProgramError
    from simulator.program import Program

__all__ = ["Program", "ProgramError", "simulate"]

_MODULES = {
    "Program": "simulator.program",
    "ProgramError": "simulator.errors",
    "simulate": "simulator.engine",
}

end_at_once()


def __getattr__(name: str) -> Any:
    """Import what is asked for: commands that only print help start without NumPy."""
    if name not in _MODULES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(_MODULES[name]), name)
