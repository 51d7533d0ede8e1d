"""Ctrl-C while modules are still imported ends a process without a traceback.

Importing this module does that. What `pipeline.stage.run` runs gets a message as well.
"""

from __future__ import annotations

import sys

_others = sys.excepthook


def _hook(kind, error, trace) -> None:
    """Print what is not an interruption."""
    if not issubclass(kind, KeyboardInterrupt):
        _others(kind, error, trace)


sys.excepthook = _hook
