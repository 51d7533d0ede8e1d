"""The rules and limits of every chip as a page, made from their docstrings and constants."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.chips.chip import Chip, chip, known_targets

HEAD = """\
# What each chip asks of a model

`crossgrade check MODEL --target TARGET` holds a float model against these rules. A model that
breaks a conversion rule has no program that the chip's own converter would make; beyond a hardware
limit a program still runs on the emulator. `crossgrade migrate` applies the transforms, in the
order named below.

Made by `make docs`; do not edit.
"""


def document() -> str:
    """Return the page in Markdown."""
    return "\n".join([HEAD, *(line for name in known_targets() for line in _chip(chip(name)))])


def _chip(found: Chip) -> Iterator[str]:
    limits = found.limits
    yield f"## {found.name}"
    yield from _table(
        "Conversion rules",
        "A rule marked * is the vendor's converter's alone: `crossgrade convert` reports it, and"
        " the emulator runs the program.",
        [
            *(
                (rule.name + "*" * rule.emulated, rule.sentence, rule.source)
                for rule in found.rules
            ),
            *(
                (limit.name + "*", limit.sentence, limits.SOURCE)
                for limit in limits.LIMITS
                if limit.name in found.refused_limits
            ),
        ],
    )
    yield from _table(
        "Hardware limits",
        "",
        [
            (limit.name, limit.sentence, limits.SOURCE)
            for limit in limits.LIMITS
            if limit.name not in found.refused_limits and not limit.remark
        ],
    )
    yield from ("", "Transforms: " + ", ".join(f"`{name}`" for name in found.repairs) + ".", "")


def _table(title: str, remark: str, rows) -> Iterator[str]:
    yield from ("", f"### {title}", "")
    if remark:
        yield from (remark, "")
    yield from ("| rule | | source |", "|---|---|---|")
    for name, sentence, source in rows:
        star = "\\*" * name.endswith("*")
        yield f"| `{name.rstrip('*')}`{star} | {sentence} | {source} |"


if __name__ == "__main__":
    print(document(), end="")
