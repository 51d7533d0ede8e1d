"""The known chips: one sub-package each, found by name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from types import ModuleType

from simulator.errors import ProgramError


def known_targets() -> tuple[str, ...]:
    """Return the names of the chips that this package emulates, in order."""
    import simulator

    return tuple(
        sorted(
            module.name
            for module in pkgutil.iter_modules(simulator.__path__)
            if module.ispkg and module.name.startswith("akida_")
        )
    )


def layer_types(target: str) -> Mapping[str, type]:
    """Return the layer classes of a chip by name.

    Raises
    ------
    ProgramError
        For an unknown chip; known ones are listed.
    """
    module = importlib.import_module(f"simulator.{_known(target)}")
    return {cls.__name__: cls for cls in module.LAYERS}


def limits_of(target: str) -> ModuleType:
    """Return the published limits of a chip: its module with ``exceeded`` and ``remarks``.

    Raises
    ------
    ProgramError
        For an unknown chip; known ones are listed.
    """
    return importlib.import_module(f"simulator.{_known(target)}.limits")


def _known(target: str) -> str:
    if target not in known_targets():
        raise ProgramError(
            f"unknown target '{target}'; known targets: {', '.join(known_targets())}"
        )
    return target
