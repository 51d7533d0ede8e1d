"""The operators that can be read: one module per family, found by their place.

To read another operator, put a `pipeline.importers.onnx.call.Rule` into the ``RULES`` of a module
of this package.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from pipeline.importers.onnx.call import Rule

RULES: dict[str, Rule] = {
    name: rule
    for module in iter_modules(__path__)
    for name, rule in import_module(f"{__name__}.{module.name}").RULES.items()
}
"""Operator to how it is read."""
