"""Size of this processor's second-level cache."""

from __future__ import annotations

from pathlib import Path

LEVEL_2 = Path("/sys/devices/system/cpu/cpu0/cache/index2/size")
"""Linux's description of the cache: "2048K"."""


def second_level_cache(least: int, file: Path = LEVEL_2) -> int:
    """Return the bytes of the cache; `least` if it is smaller, or unknown on this system."""
    try:
        text = file.read_text().strip()
    except OSError:
        return least
    digits, unit = text[:-1], text[-1:]
    if not digits.isdecimal() or unit not in "KM":
        return least
    return max(least, int(digits) << {"K": 10, "M": 20}[unit])
