"""Why a pass cannot fold a layer."""

from __future__ import annotations

from typing import NamedTuple


class Obstacle(NamedTuple):
    """Three short phrases for users: what was found, what is allowed, and what to do."""

    found: str
    allowed: str
    fix: str
