"""The rules of every chip as a page, made from their docstrings."""

from __future__ import annotations

from pipeline.chips.check import chip, known_chips
from pipeline.chips.rule import CONVERSION, HARDWARE

HEAD = """\
# What each chip asks of a model

`crossgrade check MODEL --target TARGET` holds a float model against these rules. A model that
breaks a conversion rule has no program that the chip's own converter would make; beyond a hardware
limit a program still runs on the emulator. `crossgrade migrate` applies the transforms, in the
order named below. Made by `python -m pipeline.chips.rules_page > docs/compatibility.md`.
"""
TITLES = {CONVERSION: "Conversion rules", HARDWARE: "Hardware limits"}


def document() -> str:
    """Return the page in Markdown."""
    return "\n".join([HEAD, *(line for name in known_chips() for line in _chip(name))])


def _chip(name):
    found = chip(name)
    yield f"## {name}"
    for kind, title in TITLES.items():
        yield from ("", f"### {title}", "", "| rule | | source |", "|---|---|---|")
        for rule in found.rules:
            if rule.kind == kind:
                yield f"| `{rule.name}` | {rule.sentence} | {rule.source} |"
    yield from ("", "Transforms: " + ", ".join(f"`{name}`" for name in found.transforms) + ".", "")


if __name__ == "__main__":
    print(document(), end="")
