"""Programs compiled for speed: fewer operations, proven layer by layer to give equal integers."""

from simulator.plan.plan import Plan, compile_program, fast_is_available

__all__ = ["Plan", "compile_program", "fast_is_available"]
