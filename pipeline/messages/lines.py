"""Long sentences as lines that fit a terminal."""

from __future__ import annotations

import textwrap

WIDTH = 96
INDENT = "    "


def wrapped(text: str, first: str = "", width: int = WIDTH) -> str:
    """Return a text as lines of at most `width` columns, `first` before the first of them."""
    # Words are never split: names of layers and files are copied from here.
    lines = textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines)
