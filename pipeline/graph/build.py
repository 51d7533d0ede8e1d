"""Build nodes with complete, normalised attributes; no other module fills in defaults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any

import numpy as np

from pipeline.errors import LayerError
from pipeline.graph.attributes import NUMBERS, PAIR, REQUIRED
from pipeline.graph.node import Node
from pipeline.graph.operations import OPERATIONS


def make_node(
    name: str,
    op: str,
    inputs: Iterable[str] = (),
    attrs: Mapping[str, Any] | None = None,
    weights: Mapping[str, np.ndarray] | None = None,
) -> Node:
    """Return a node whose attributes are complete and normalised.

    Parameters
    ----------
    name, op : str
    inputs : names of the producing nodes
    attrs : mapping
        By Keras' attribute names. A pair may be one int; missing attributes take Keras' defaults.
    weights : mapping of str to array
        Converted to float32.

    Raises
    ------
    ModelError
        If the operation or an attribute is unknown, an attribute is missing or not allowed, or the
        number of inputs is wrong.
    """
    if op not in OPERATIONS:
        raise LayerError(
            name, f"layer type '{op}' is not known; known: {', '.join(sorted(OPERATIONS))}"
        )
    inputs = tuple(inputs)
    full = _complete(name, OPERATIONS[op], dict(attrs or {}))
    arity = OPERATIONS[op].arity
    if (arity >= 0 and len(inputs) != arity) or (arity < 0 and len(inputs) < 2):
        wanted = str(arity) if arity >= 0 else "two or more"
        raise LayerError(name, f"{op} takes {wanted} inputs, found {len(inputs)}")
    for key, value in full.items():
        if sentence := OPERATIONS[op].attributes[key].refusal(key, value):
            raise LayerError(name, f"{sentence}")
    arrays = {key: np.asarray(value, np.float32) for key, value in (weights or {}).items()}
    return Node(name, op, inputs, full, arrays)


def _complete(name, operation, given):
    """Return all attributes of a node in the order of its operation, normalised."""
    known = operation.attributes
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise LayerError(
            name,
            f"{operation.name} has no attribute '{unknown[0]}'; it has "
            f"{', '.join(known) or 'none'}",
        )
    full = {key: given.get(key, attribute.default) for key, attribute in known.items()}
    missing = [key for key, value in full.items() if value is REQUIRED]
    if missing:
        raise LayerError(name, f"{operation.name} needs the attribute '{missing[0]}'")
    return {key: _normalised(known[key].kind, value) for key, value in full.items()}


def _normalised(kind, value):
    if kind is PAIR and isinstance(value, Integral):
        return (int(value),) * 2
    if kind is NUMBERS and isinstance(value, list | tuple) and len(value) == 1:
        return value[0]
    if isinstance(value, list | tuple):
        return tuple(tuple(v) if isinstance(v, list | tuple) else v for v in value)
    return value
