"""The table of transforms as a page."""

from __future__ import annotations

from pipeline.transforms.table import TRANSFORMS

HEAD = """\
# Transforms

What can be done to a float model before it is quantized, in the order in which all of them are
applied. `transforms.names` selects some of them for the pipeline; `crossgrade migrate` applies
those that repair a rule of the chip ([compatibility.md](compatibility.md)). Each one is verified
on images. This page is made from the code by `make docs`.

| transform | what it does | outputs | may use | repairs |
|---|---|---|---|---|"""


def page() -> str:
    """Return the page in Markdown."""
    return "\n".join([HEAD, *map(_row, TRANSFORMS.values()), ""])


def _row(transform):
    rules = ", ".join(f"`{name}`" for name in transform.repairs)
    needs = ", ".join(transform.needs)
    sentence = transform.sentence.replace("``", "`").replace("|", "\\|")
    cells = f"`{transform.name}`", sentence, transform.equivalence, needs, rules
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print(page(), end="")
