"""What differs where Python code calls a step, instead of a command."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any

from pipeline.messages.settings import NO_VALUE, is_named, named_by
from pipeline.packages import MissingPackageError, missing

ARGUMENTS = {
    "quantization.calibration.samples": "num_samples",
    "quantization.calibration.batch_size": "batch_size",
    "quantization.calibration.source": "samples",
    "quantization.per_tensor_activations": "per_tensor",
    "quantization.training.epochs": "epochs",
    "transforms.gap.strategy": "gap",
    "calibration": "samples",
    "measuring.images": "x",
    "measuring.labels": "y",
    "images_b": "x_b",
    "export.formats": "format",
    "target.name": "target",
}
"""Arguments by setting, where they are not the last part of its name."""
PHRASES = {
    ("quantization.flatten", "saturate"): "parity=True",
    ("quantization.flatten", "align"): "parity=False",
    ("quantization.last_output_bits", None): "an output that is not quantized",
    ("quantization.calibration.source", "data"): "samples=...",
}
LAYER = "quantization.layers."
OWN = str(Path(__file__).parent)
"""Code that is not the user's."""


class CrossgradeWarning(UserWarning):
    """Something that a user should act on."""


def argument_name(name: str, value: Any = NO_VALUE) -> str:
    """Return the name of a setting for Python code; see `pipeline.messages.settings`."""
    if value is not NO_VALUE and (name, value) in PHRASES:
        return PHRASES[name, value]
    if name.startswith(LAYER):
        layer, dot, key = name.removeprefix(LAYER).rpartition(".")
        if value is NO_VALUE:
            return f"layers[{layer!r}][{key!r}]" if dot else f"layers[{key!r}]"
        return f"layers={{{layer!r}: {{{key!r}: {value!r}}}}}"
    if name == "transforms.names" and value is not NO_VALUE:
        return "crossgrade.migrate does it on the float model"
    argument = ARGUMENTS.get(name, name.rpartition(".")[2])
    return argument if value is NO_VALUE else f"{argument}={value!r}"


def step(function: Callable) -> Callable:
    """Let messages name arguments, and issue the result's warnings, where Python code calls.

    A command names its options instead, and prints the notes of the result itself.
    """

    @wraps(function)
    def called(*args, **settings):
        if is_named():
            return function(*args, **settings)
        with named_by(argument_name):
            try:
                result = function(*args, **settings)
            except ModuleNotFoundError as error:
                raise MissingPackageError(f"{function.__name__}: {missing(error)}") from error
            notes = getattr(result, "notes", ())
        issue(notes)
        return result

    return called


def said(python: str, command: str) -> str:
    """Return the words for Python code, or for a command, whichever called the step."""
    return python if is_named(argument_name) else command


def issue(notes: Iterable) -> None:
    """Issue the warnings among notes, at the line of the user's code."""
    for note in notes:
        if note.is_warning:
            warnings.warn(note.text, CrossgradeWarning, stacklevel=_level_of_user())


def _level_of_user() -> int:
    """Return the ``stacklevel`` of the first frame outside of this package, for `issue`."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(OWN):
        level, frame = level + 1, frame.f_back
    return level
