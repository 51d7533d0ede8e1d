"""Which operation each Keras class is; the operations themselves know how they are read."""

from __future__ import annotations

from pipeline.graph.operation import Operation
from pipeline.graph.operations import OPERATIONS

READ_AS: dict[str, Operation] = {
    kind: operation for operation in OPERATIONS.values() for kind in operation.keras
}
"""Keras class to operation."""
ALIASES: dict[str, str] = {
    alias: kind
    for operation in OPERATIONS.values()
    for kind, rule in operation.keras.items()
    for alias in rule.aliases
}
"""Other name of a Keras class to the one in `READ_AS`."""
