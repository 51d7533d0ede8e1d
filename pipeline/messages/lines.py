"""Wrap long sentences to lines that fit a terminal."""

from __future__ import annotations

import textwrap

WIDTH = 96
INDENT = "    "


def counted(number: int, noun: str) -> str:
    """Return ``1 layer`` or ``12,345 layers``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


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


def wrapped_lines(text: str, width: int = WIDTH) -> str:
    """Return each line of a text wrapped, behind its own indent and bullet."""
    return "\n".join(_behind_its_indent(line, width) for line in text.split("\n"))


def _behind_its_indent(line, width):
    if len(line) <= width:
        return line
    indent = line[: len(line) - len(line.lstrip())]
    return wrapped(line.lstrip(), indent, width).replace("\n" + INDENT, "\n" + indent + INDENT)
