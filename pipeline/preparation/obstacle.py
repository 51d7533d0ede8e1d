"""Why a pass cannot fold a layer."""

from __future__ import annotations

from typing import NamedTuple


class Obstacle(NamedTuple):
    """What was found, what is allowed, and what to do: short phrases for users."""

    found: str
    allowed: str
    fix: str
