"""Parse command-line overrides, and refuse wrong ones by name."""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path

from pipeline.config.layer_overrides import PREFIX, encode
from pipeline.config.sections import OWN_FILES, Config
from pipeline.errors import ConfigError
from pipeline.graph.parameters import PARAMETERS

OVERRIDE = re.compile(r"(?P<sign>\+\+|\+|~|)(?P<name>[\w./@$-]+)(=(?P<value>.*))?", re.DOTALL)


PATHS = {".".join(names) for names in OWN_FILES}
PLAIN = re.compile(r"[\w./:\\+%@*-]*|'.*'|\".*\"", re.ASCII | re.DOTALL)
"""Values that Hydra reads without quotes, or that have them."""


def read_overrides(overrides: Sequence[str], folder) -> list[str]:
    """Return `overrides` as Hydra takes them.

    Dotted names are not checked here: the typed configuration does that, and knows what is
    allowed instead.

    Parameters
    ----------
    overrides : sequence of str
        ``group=choice``, ``name.name=value``, or several values after a comma.
    folder : path-like
        Configuration folder; its sub-folders are the groups.

    Raises
    ------
    ConfigError
        Listing everything that is not an override, and unknown groups and choices.
    """
    overrides = with_quoted_paths(overrides)
    problems = [p for override in overrides for p in _problems(override, Path(folder))]
    if problems:
        raise ConfigError("; ".join(problems))
    overrides = [encode(override) for override in overrides]
    return [
        f"++{o}"
        if "." in o.partition("=")[0] and o[0] not in "+~" and "/" not in o.split("=")[0]
        else o
        for o in overrides
    ]


def with_quoted_paths(overrides: Sequence[str]) -> list[str]:
    """Return `overrides` with quotes around paths that Hydra does not read without them.

    Those have spaces, ``=``, brackets or letters of other languages. Commas separate the values of
    a sweep.
    """
    return [_quoted(override) for override in overrides]


def _quoted(override: str) -> str:
    name, equals, value = override.partition("=")
    if name.lstrip("+") not in PATHS or PLAIN.fullmatch(value) or value.startswith("choice("):
        return override
    parts = value.split(",")
    return f"{name}{equals}" + ",".join(
        part if PLAIN.fullmatch(part) else "'" + part.replace("'", "\\'") + "'" for part in parts
    )


def dotted_names(section, prefix="") -> Iterator[str]:
    """Yield the dotted name of every value of a section and the sections in it."""
    hints = typing.get_type_hints(section)
    for field in fields(section):
        if is_dataclass(hints[field.name]):
            yield from dotted_names(hints[field.name], f"{prefix}{field.name}.")
        else:
            yield prefix + field.name


def _problems(override: str, folder: Path) -> Iterator[str]:
    if override.lstrip("+~").startswith(PREFIX):
        override = encode(override)
    match = OVERRIDE.fullmatch(override)
    if match is None or (match["value"] is None and match["sign"] != "~"):
        yield f"'{override}': not an override; write group=choice or dotted.name=value"
        return
    name, value = match["name"], match["value"]
    groups = sorted(path.name for path in folder.iterdir() if path.is_dir())
    values = [field.name for field in fields(Config) if field.name not in groups]
    if match["sign"] or "." in name or "/" in name or "@" in name or name in values:
        return
    if name not in groups:
        known = [*dotted_names(Config), *(f"model.{parameter}" for parameter in PARAMETERS)]
        inside = [dotted for dotted in known if dotted.endswith(f".{name}")]
        near = inside or difflib.get_close_matches(name, [*groups, *values], 1)
        hint = f"did you mean {near[0]}? " if near else ""
        yield f"{name}: unknown name; {hint}allowed: {', '.join([*groups, *values])}"
        return
    choices = sorted(path.stem for path in (folder / name).glob("*.yaml"))
    for choice in value.split(","):
        if re.fullmatch(r"[\w-]*", choice) and choice not in (*choices, "null"):
            yield f"{name}: found '{choice}'; allowed: {', '.join(choices)}"
