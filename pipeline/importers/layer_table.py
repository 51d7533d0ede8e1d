"""The operation of each Keras class; the operations define how they are read."""

from __future__ import annotations

from pipeline.graph.operation import Operation
from pipeline.graph.operations import OPERATIONS

READ_AS: dict[str, Operation] = {
    kind: operation for operation in OPERATIONS.values() for kind in operation.keras
}
"""Operations by Keras class."""
ALIASES: dict[str, str] = {
    alias: kind
    for operation in OPERATIONS.values()
    for kind, rule in operation.keras.items()
    for alias in rule.aliases
}
"""Names of Keras classes in `READ_AS`, by their other names."""
