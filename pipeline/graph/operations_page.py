"""The page of the operations, made from their classes."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator

from pipeline.graph.attributes import INTERNAL, REQUIRED
from pipeline.graph.operation import Operation
from pipeline.graph.operations import FAMILIES

INTRODUCTION = """# Operations

What a float model may consist of. Names, attributes and defaults are those of the Keras layers; an
attribute without a default must be given. In an architecture file, write the operation's name or
its snake case (`conv2d`). Made by `make docs`."""

TABLE = """
| operation | what it computes | attributes | traits | Keras layers read |
|---|---|---|---|---|"""


def page() -> str:
    """Return the page as Markdown."""
    lines = [INTRODUCTION]
    for family, operations in FAMILIES.items():
        lines += ["", f"## {_title(operations[0])}", TABLE, *map(_row, operations)]
        lines += [f"\n{text}" for text in map(_remarks, operations) if text]
        lines += ["", f"Defined in `pipeline/graph/operations/{family}.py`."]
    lines += ["", "## Traits", "", *(f"- **{name}**: {text}" for name, text in traits().items())]
    lines += ["", "## Values of attributes", "", "| attribute | allowed |", "|---|---|"]
    return "\n".join([*lines, *_allowed(), ""])


def traits() -> dict[str, str]:
    """Return what each trait means, from the docstring of `Operation`."""
    found = re.findall(r"^(\w+) : bool\n((?:    .*\n?)+)", inspect.getdoc(Operation), re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


def _title(operation) -> str:
    return inspect.getdoc(sys.modules[type(operation).__module__]).splitlines()[0].rstrip(".")


def _row(operation) -> str:
    held = ", ".join(trait.replace("_", " ") for trait in traits() if getattr(operation, trait))
    attributes = ", ".join(_attribute(*item) for item in _shown(operation))
    cells = (f"`{operation.name}`", _docstring(operation)[0], attributes, held, _keras(operation))
    return f"| {' | '.join(cell or '-' for cell in cells)} |"


def _keras(operation) -> str:
    """Return the Keras classes, and the named functions, that are read as the operation."""
    rules = operation.keras.items()
    names = [name for kind, rule in rules for name in (kind, *rule.aliases)]
    if operation.keras_activations:
        names.append(f"activations {', '.join(operation.keras_activations)}")
    return ", ".join(names)


def _remarks(operation) -> str:
    """Return what the docstring says beyond its first line."""
    text = " ".join(_docstring(operation)[2:])
    return f"`{operation.name}`: {text}" if text else ""


def _docstring(operation) -> list[str]:
    return inspect.getdoc(type(operation)).replace("``", "`").splitlines()


def _shown(operation) -> Iterator[tuple]:
    return (item for item in operation.attributes.items() if item[1].kind is not INTERNAL)


def _attribute(key, attribute) -> str:
    if attribute.default is REQUIRED:
        return f"`{key}`"
    default = attribute.default
    return f"`{key}`={str(default).lower() if isinstance(default, bool | None) else default}"


def _allowed() -> Iterator[str]:
    """Yield a row for each attribute and kind of value, in alphabetical order."""
    rows: dict[tuple[str, str], list[str]] = {}
    for operations in FAMILIES.values():
        for operation in operations:
            for key, attribute in _shown(operation):
                optional = ", or none" if attribute.default is None else ""
                kind = f"{attribute.kind.allowed}{optional}"
                rows.setdefault((key, kind), []).append(operation.name)
    several = {key for key, kind in rows if sum(key == other for other, _ in rows) > 1}
    for (key, kind), names in sorted(rows.items()):
        where = f" of {', '.join(names)}" if key in several else ""
        yield f"| `{key}`{where} | {kind} |"


if __name__ == "__main__":
    sys.stdout.write(page())
