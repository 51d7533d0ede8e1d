"""The closed vocabulary of operations: one module per family, discovered in this package.

Attribute names and defaults are those of the Keras layers of the same name; what Keras offers
beyond them (other activations, data formats, initializers) has no counterpart on Akida.
To add an operation, subclass `pipeline.graph.operation.Operation` in a module of this package and
put an instance in the module's ``OPERATIONS``.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from pipeline.graph.operation import Operation

FAMILIES: dict[str, tuple[Operation, ...]] = {
    module.name: import_module(f"{__name__}.{module.name}").OPERATIONS
    for module in iter_modules(__path__)
}
"""Operations by module."""

OPERATIONS: dict[str, Operation] = {
    operation.name: operation for family in FAMILIES.values() for operation in family
}
"""Operations by name."""


def having(trait: str) -> tuple[str, ...]:
    """Return the names of the operations that have a trait of `Operation`."""
    return tuple(name for name, operation in OPERATIONS.items() if getattr(operation, trait))
