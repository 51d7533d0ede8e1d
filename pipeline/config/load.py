"""Read a composed configuration into dataclasses, or report all errors in it."""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline.config.combinations import impossible
from pipeline.config.layer_widths import LayerWidths
from pipeline.config.sections import OWN_FILES, Config
from pipeline.errors import ConfigError, UnknownKeyError
from pipeline.files import home
from pipeline.messages.settings import setting
from simulator.malformed import brief

Section = TypeVar("Section")
WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def load(path="params.yaml") -> Config:
    """Return the configuration in a YAML file.

    Parameters
    ----------
    path : path-like
        A composed file, as the ``compose`` stage writes it.

    Raises
    ------
    ConfigError
        When the file is missing or not YAML, or for all unknown keys, wrong types and impossible
        values in it at once, each by its dotted name.
    """
    path = Path(path)
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; run 'dvc repro compose' to write it")
    try:
        values = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except (yaml.YAMLError, OmegaConfBaseException, UnicodeDecodeError, OSError) as error:
        reason = brief(error)
        raise ConfigError(f"{path}: not readable as a configuration: {reason}") from error
    return check(_with_found_files(values, home()))


def _with_found_files(values, root: Path):
    """Return `values` with the user's files where DVC runs in a copy that has only git's files."""
    if root == Path.cwd() or not isinstance(values, Mapping):
        return values
    whole = dict(values)
    for section, key in OWN_FILES:
        part = values.get(section)
        given = part.get(key) if isinstance(part, Mapping) else None
        if isinstance(given, str) and not Path(given).exists() and (root / given).exists():
            whole[section] = {**part, key: str(root / given)}
    return whole


def check(values) -> Config:
    """Return plain `values` (mappings, lists, numbers, texts) as a configuration.

    Raises
    ------
    ConfigError
        Listing all errors.
    """
    problems: list[str] = []
    config = _read(Config, values, "", problems)
    if not problems:
        problems = list(impossible(config))
    if problems:
        unknown = any(isinstance(problem, _UnknownKey) for problem in problems)
        raise (UnknownKeyError if unknown else ConfigError)("; ".join(problems))
    return config


def check_layers(values: Mapping, name: str) -> dict[str, LayerWidths]:
    """Return plain `values` as widths of single layers.

    Parameters
    ----------
    values : mapping
        Widths by layer, as in ``quantization.layers``.
    name : str
        Where they come from, for messages.

    Raises
    ------
    ConfigError
        Listing all errors.
    """
    return _checked(_read_each, LayerWidths, values, f"{name} ")


def check_section(section: type[Section], values: Mapping, name: str) -> Section:
    """Return plain `values` as one section of the configuration.

    Parameters
    ----------
    section : class in `pipeline.config.sections`
    values : mapping
    name : str
        Its dotted name, by which messages name its keys.

    Raises
    ------
    ConfigError
        Listing all errors.
    """
    return _checked(_read, section, values, f"{name}.")


def _checked(read: Callable, section: type, values: Mapping, prefix: str):
    """Return what `read` makes of `values`, or raise `ConfigError` with all problems."""
    problems: list[str] = []
    found = read(section, values, prefix, problems)
    if problems:
        raise ConfigError("; ".join(problems))
    return found


class _UnknownKey(str):
    """The problem of a key that the configuration does not have."""


def _read(section, values, prefix, problems):
    if not isinstance(values, Mapping):
        name = setting(prefix.rstrip(".")) if prefix else "configuration"
        keys = ", ".join(field.name for field in fields(section))
        problems.append(f"{name}: found {values!r}; allowed: the keys {keys}")
        return None
    table = {field.name: field for field in fields(section)}
    for key in values:
        if key not in table:
            near = difflib.get_close_matches(str(key), table, 1)
            hint = f"did you mean {setting(prefix + near[0])}? " if near else ""
            allowed = ", ".join(table)
            name = setting(f"{prefix}{key}")
            problems.append(_UnknownKey(f"{name}: unknown key; {hint}allowed: {allowed}"))
    hints = typing.get_type_hints(section)
    read = {
        name: _value(field, hints[name], values[name], prefix + name, problems)
        for name, field in table.items()
        if name in values
    }
    return section(**read) if not problems else None


def _read_each(section, values, prefix, problems):
    return {
        str(key): _read(section, entry, f"{prefix}{key}.", problems)
        for key, entry in values.items()
    }


def _value(field, hint, value, name, problems):
    """Return `value` as type `hint`; append its errors to `problems`."""
    if is_dataclass(hint):
        return _read(hint, value, name + ".", problems)
    kind, optional = _kind(hint)
    if value is None and optional:
        return None
    if typing.get_origin(kind) is tuple:
        wrong = not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value)
        value = value if wrong else tuple(value)
    elif typing.get_origin(kind) is Mapping:
        wrong = not isinstance(value, Mapping)
        inner = typing.get_args(kind)[1]
        if not wrong and is_dataclass(inner):
            return _read_each(inner, value, f"{name}.", problems)
    elif kind is float:
        wrong = type(value) not in (int, float) or not math.isfinite(value)
        value = value if wrong else float(value)
    else:
        wrong = type(value) is not kind
    if wrong or not _fits(field.metadata, value):
        allowed = allowed_values(field, hint)
        problems.append(f"{setting(name)}: found {value!r}; allowed: {allowed}")
    return value


def allowed_values(field: dataclasses.Field, hint: Any) -> str:
    """Return the allowed values of a key in words, from the field that declares them."""
    kind, optional = _kind(hint)
    return _allowed(field.metadata, kind) + (", or null" if optional else "")


def _kind(hint) -> tuple[Any, bool]:
    """Return the type of a key, and whether it may be null."""
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return next(o for o in options if o is not type(None)), type(None) in options


def _fits(limits, value) -> bool:
    if "allowed" in limits:
        values = value if type(value) is tuple else (value,)
        return all(v in limits["allowed"] or _continues(v, limits["prefixes"]) for v in values)
    low, high, above = (limits.get(key) for key in ("low", "high", "above"))
    return (
        (low is None or value >= low)
        and (high is None or value <= high)
        and (above is None or value > above)
    )


def _continues(value, prefixes) -> bool:
    return isinstance(value, str) and any(value.startswith(p) and value != p for p in prefixes)


def _allowed(limits, kind) -> str:
    if "allowed" in limits:
        prefixed = (f"{prefix}<name>" for prefix in limits["prefixes"])
        text = ", ".join(str(v) for v in (*limits["allowed"], *prefixed))
        text = f"a list of {text}" if typing.get_origin(kind) is tuple else text
    else:
        low, high, above = (limits.get(key) for key in ("low", "high", "above"))
        text = WORDS.get(kind, "keys and values")
        if low is not None:
            text += f" from {low}" if high is None else f" from {low} to {high}"
        if above is not None:
            text += f" above {above}"
    return text
