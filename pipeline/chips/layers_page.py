"""What each target supports as a page, made from its layers' docstrings and its limits' constants.

A chip's module ``limits`` names its SOURCE; its module ``supported`` holds SUPPORTED (layer class
to what it supports, by `COLUMNS`) and NOTES. ``make docs`` writes the page.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator

from pipeline.chips.chip import chip, known_targets
from simulator.targets import layer_types

HEAD = """\
# What each target supports

Layers of the chips, as the emulator runs them, with the published limits of the hardware. A
program beyond a limit still runs on the emulator: `crossgrade convert` and `crossgrade summary`
report it, and `target.strict=true` (`--strict`) refuses it. What a layer's registers cannot hold
is refused always. What this asks of a float model is in [compatibility.md](compatibility.md).

Made by `make docs`; do not edit.
"""
COLUMNS = (
    "input",
    "kernel",
    "stride",
    "padding",
    "filters",
    "max pooling",
    "global average",
    "input bits",
    "weight bits",
    "output bits",
)


def document() -> str:
    """Return the page in Markdown."""
    lines = [HEAD, *_schemes()]
    for name in known_targets():
        lines += _target(name)
    return "\n".join(lines)


def _schemes() -> Iterator[str]:
    yield "| target | converts models of the quantization schemes | brings registers into range |"
    yield "|---|---|---|"
    for name in known_targets():
        found = chip(name)
        fits = "with `target.fit_registers=true`" if found.fit else "not needed"
        yield f"| `{name}` | {', '.join(f'`{scheme}`' for scheme in found.schemes)} | {fits} |"
    yield ""


def _target(name: str) -> Iterator[str]:
    limits = chip(name).limits
    supported = importlib.import_module(f"simulator.{name}.supported")
    layers = layer_types(name)
    yield from (f"## {name}", "", "| layer | | in summaries |", "|---|---|---|")
    for layer, kind in layers.items():
        yield f"| `{layer}` | {first_line(kind)} | {kind.label or layer} |"
    yield from ("", f"Limits of the hardware. Source: {limits.SOURCE}.", "")
    used = [c for c in COLUMNS if any(c in row for row in supported.SUPPORTED.values())]
    yield f"| layer | {' | '.join(used)} |"
    yield "|---" * (len(used) + 1) + "|"
    for layer in layers:
        row = supported.SUPPORTED.get(layer, {})
        yield f"| `{layer}` | {' | '.join(row.get(column, '') for column in used)} |"
    yield ""
    yield from (f"- {note}" for note in supported.NOTES)
    yield from ("", "A program is refused unless, in every layer:", "")
    for layer, kind in layers.items():
        conditions = dict.fromkeys(_checks(kind))
        if conditions:
            yield f"- `{layer}`: {'; '.join(conditions)}."
    yield ""


def first_line(thing) -> str:
    """Return the first paragraph of a docstring as one line."""
    text = inspect.getdoc(thing).split("\n\n")[0]
    return " ".join(text.replace("``", "`").split())


def _checks(kind: type) -> Iterator[str]:
    """Yield the condition of each ``check``, from the base class to the class itself."""
    for owner in reversed(kind.__mro__):
        check = vars(owner).get("check")
        if check is not None and owner.__module__ != "simulator.layer":
            yield first_line(check).removeprefix("Check that ").rstrip(".")


if __name__ == "__main__":
    print(document(), end="")
