"""Discovery of chips: one sub-package of `simulator` each, found by name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from simulator.errors import ProgramError


def known_targets() -> tuple[str, ...]:
    """Return the sorted names of the chips that this package emulates."""
    packages = pkgutil.iter_modules([str(Path(__file__).parent)])
    names = (package.name for package in packages if package.ispkg)
    return tuple(sorted(name for name in names if name.startswith("akida_")))


def layer_types(target: str) -> Mapping[str, type]:
    """Return the layer classes of a chip by name.

    Raises
    ------
    ProgramError
        If the chip is unknown; the message lists the known ones.
    """
    module = importlib.import_module(f"simulator.{_known(target)}")
    return {cls.__name__: cls for cls in module.LAYERS}


def limits_of(target: str) -> ModuleType:
    """Return the module of a chip's published limits, with ``exceeded`` and ``remarks``.

    Raises
    ------
    ProgramError
        If the chip is unknown; the message lists the known ones.
    """
    return importlib.import_module(f"simulator.{_known(target)}.limits")


def _known(target: str) -> str:
    if target not in known_targets():
        raise ProgramError(
            f"unknown target '{target}'; known targets: {', '.join(known_targets())}"
        )
    return target
