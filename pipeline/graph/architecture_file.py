"""Find architectures by name, and read them with parameters from a command line."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import ModelError
from pipeline.files import shipped
from pipeline.graph.parameters import PARAMETERS
from simulator.malformed import brief

ZOO = Path("conf") / "model"
SUFFIXES = (".yaml", ".yml")


def zoo_folder() -> Path:
    """Return the folder of the architectures: the current repository's, or crossgrade's own."""
    return ZOO if ZOO.is_dir() else shipped("conf") / "model"


def zoo_names() -> tuple[str, ...]:
    """Return the names of the architectures that come with crossgrade."""
    found = (path for path in zoo_folder().glob("*.yaml") if _has_layers(path))
    return tuple(sorted(path.stem for path in found))


def is_architecture(model: str) -> bool:
    """Return True if `model` names an architecture or its file, rather than a file of weights."""
    path = Path(model)
    if path.suffix in SUFFIXES:
        return True
    # A folder beside an architecture of the same name does not hide it.
    hidden = path.is_file() or (path.is_dir() and model not in zoo_names())
    return _is_name(model) and not hidden


def read_architecture(model: str, parameters: Sequence[str] = ()) -> dict[str, Any]:
    """Return an architecture in the form that `pipeline.graph.architecture.build_graph` takes.

    Parameters
    ----------
    model : str
        A name from `zoo_names`, or the path of a YAML file: an architecture, or a composed
        configuration that holds one under ``model``.
    parameters : sequence of str
        Such as ``alpha=0.5`` or ``input_shape=[96,96,3]``; others keep the file's values.

    Raises
    ------
    ModelError
        For an unknown name, an unreadable file, and every wrong parameter.
    """
    path = Path(model) if Path(model).suffix in SUFFIXES else zoo_folder() / f"{model}.yaml"
    if not path.is_file():
        raise ModelError(_unknown(model, path))
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = brief(error)
        raise ModelError(f"{path}: not readable as YAML: {reason}") from error
    if isinstance(values, dict) and isinstance(values.get("model"), dict):
        values = values["model"]
    if not isinstance(values, dict) or "layers" not in values:
        raise ModelError(f"{path}: no architecture; it needs the keys name, input, layers")
    return {**values, **read_assignments(parameters)}


def read_assignments(parameters: Sequence[str]) -> dict[str, Any]:
    """Return ``name=value`` texts as a mapping; values are read as YAML.

    Raises
    ------
    ModelError
        For everything that is not a parameter of an architecture.
    """
    values, problems = {}, []
    for text in parameters:
        key, equals, value = text.partition("=")
        if not equals or key not in PARAMETERS:
            near = difflib.get_close_matches(key, PARAMETERS, 1)
            hint = f"; did you mean {near[0]}=...?" if near else ""
            allowed = ", ".join(f"{name}=..." for name in PARAMETERS)
            problems.append(f"'{text}': not a parameter{hint} Allowed: {allowed}")
            continue
        try:
            values[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            problems.append(f"{key}: found '{value}'; give a number or a list such as [96,96,3]")
    if problems:
        raise ModelError("; ".join(problems))
    return values


def _has_layers(path: Path) -> bool:
    """Return True if a file lists layers; others name a model file instead."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return any(line.startswith("layers:") for line in lines)


def _is_name(model: str) -> bool:
    return not Path(model).suffix and Path(model).name == model


def _unknown(model, path) -> str:
    if Path(model).suffix in SUFFIXES:
        return f"{path}: no such file; give a YAML architecture"
    names = zoo_names()
    near = difflib.get_close_matches(model, names, 1)
    hint = f"did you mean {near[0]}? " if near else ""
    return (
        f"{model}: no such model; {hint}give a .h5, .keras, .npz or .yaml file, or one of"
        f" {', '.join(names)}"
    )
