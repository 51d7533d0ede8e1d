"""Kinds of processors that the ``fast`` backend has kernels for."""

from __future__ import annotations

import os
from dataclasses import dataclass

import llvmlite.binding

from simulator.errors import ProgramError

VARIABLE = "CROSSGRADE_PROCESSOR"
"""Environment variable that names the kind to compile for, instead of the best one."""


@dataclass(frozen=True)
class Processor:
    """Kind of processor.

    Attributes
    ----------
    name : str
    bits : int
        Width of a vector.
    dots : bool
        True if there is an instruction that adds four products of unsigned and signed bytes to a
        32-bit sum (``vpdpbusd``).
    needs : tuple of str
        LLVM's names of the features that the kernels need.
    level : str
        LLVM's name of the processor to compile for; empty is this one.
    """

    name: str
    bits: int
    dots: bool
    needs: tuple[str, ...]
    level: str

    @property
    def lanes(self) -> int:
        """Number of 32-bit sums in a vector."""
        return self.bits // 32

    @property
    def missing(self) -> tuple[str, ...]:
        """Features that the kernels need and this processor does not have."""
        found = llvmlite.binding.get_host_cpu_features()
        return tuple(name for name in self.needs if not found.get(name))

    @property
    def cpu(self) -> str:
        """LLVM's name of the processor to compile for."""
        return self.level or llvmlite.binding.get_host_cpu_name()

    @property
    def features(self) -> str:
        """Features in LLVM's notation."""
        if not self.level:
            return llvmlite.binding.get_host_cpu_features().flatten()
        # Some levels use half of a vector to save power.
        return ",".join([*(f"+{name}" for name in self.needs), "-prefer-256-bit"])


AVX512 = ("avx512f", "avx512bw", "avx512dq", "avx512vl")
PROCESSORS = (
    Processor("avx512-vnni", 512, True, (*AVX512, "avx512vnni"), "x86-64-v4"),
    Processor("avx512", 512, False, AVX512, "x86-64-v4"),
    Processor("avx-vnni", 256, True, ("avx2", "fma", "avxvnni"), "x86-64-v3"),
    Processor("avx2", 256, False, ("avx2", "fma"), "x86-64-v3"),
    Processor("any", 128, False, (), ""),
)
"""All kinds, best first."""


def chosen() -> Processor:
    """Return the kind that `VARIABLE` names, or the best that this processor has.

    Raises
    ------
    ProgramError
        If the named kind is unknown, or this processor does not have it.
    """
    name = os.environ.get(VARIABLE, "")
    if not name:
        return next(processor for processor in PROCESSORS if not processor.missing)
    named = [processor for processor in PROCESSORS if processor.name == name]
    if not named:
        known = ", ".join(processor.name for processor in PROCESSORS)
        raise ProgramError(f"{VARIABLE} is '{name}'; allowed: {known}")
    if named[0].missing:
        raise ProgramError(
            f"{VARIABLE} is '{name}'; this processor lacks {', '.join(named[0].missing)}"
        )
    return named[0]
