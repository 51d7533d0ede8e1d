"""Programs compiled for speed: the same integers, proven layer by layer, by fewer operations."""

from simulator.plan.plan import Plan, compile_program, fast_is_available

__all__ = ["Plan", "compile_program", "fast_is_available"]
