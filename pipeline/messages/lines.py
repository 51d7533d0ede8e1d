"""Wrap long sentences to lines that fit a terminal."""

from __future__ import annotations

import textwrap

WIDTH = 96
INDENT = "    "


def wrapped(text: str, first: str = "", width: int = WIDTH) -> str:
    """Return a text as lines of at most `width` columns, with `first` before the first line."""
    # Words are never split, so that names of layers and files can be copied.
    lines = textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines)
