"""Ctrl-C while a command of ours still imports its modules ends it without a traceback.

As an exception it would come out of the middle of another library: NumPy, for one, raises an
ImportError instead, with advice that leads nowhere.
"""

from __future__ import annotations

import os
import signal
import sys

PACKAGES, SCRIPT = ("pipeline", "stages", "simulator"), "crossgrade"
"""What runs under ``python -m``, and the script that pip installs."""


def end_at_once() -> None:
    """Let Ctrl-C end a process of one of our commands at once, without a word."""
    # Where Ctrl-C is ignored, as for a job of a script in the background, it stays so.
    if _is_ours() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _is_ours() -> bool:
    if os.path.basename(sys.argv[0] if sys.argv else "") == SCRIPT:
        return True
    words = sys.orig_argv
    module = words[words.index("-m") + 1 :][:1] if "-m" in words else []
    return bool(module) and module[0].partition(".")[0] in PACKAGES


def raise_again() -> None:
    """Let Ctrl-C raise KeyboardInterrupt, once everything is imported."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
