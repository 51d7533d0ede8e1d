"""The machine that figures depend on."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def kind() -> str:
    """Return the kind of processor that the ``fast`` backend has chosen here."""
    from simulator.plan.fast.processor import chosen

    return chosen().name


def machine() -> str:
    """Return one line on the machine that the figures depend on."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    coretype = os.environ.get("OPENBLAS_CORETYPE", "unset")
    load = os.getloadavg()[0]
    return (
        f"{name}, {os.cpu_count()} cores, {features()}; load {load:.1f}; OPENBLAS_CORETYPE"
        f" {coretype}"
    )


def same(one: str, other: str) -> bool:
    """Return True if two lines of `machine` are of one machine, whatever its load."""
    return one.partition(";")[0] == other.partition(";")[0]


def features() -> str:
    """Return which of the features that matter for integer products this processor has."""
    import llvmlite.binding

    found = llvmlite.binding.get_host_cpu_features()
    names = ("avx2", "avx512bw", "avxvnni", "avx512vnni", "amx-int8", "dotprod")
    return " ".join(name for name in names if found.get(name)) or "none of the known features"
