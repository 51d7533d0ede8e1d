"""Make nodes with complete, normalised attributes; the only place that fills in defaults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any

import numpy as np

from pipeline.errors import ModelError
from pipeline.graph.attributes import refusal
from pipeline.graph.node import Node
from pipeline.graph.operations import OPERATIONS, REQUIRED

PAIRS = ("kernel_size", "strides", "pool_size", "dilation_rate", "size")


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
        Keras attribute names; pairs may be given as one int; missing ones take Keras' defaults.
    weights : mapping of str to array
        Converted to float32.

    Raises
    ------
    ModelError
        For an unknown operation or attribute, a missing or impossible one, or a wrong number of
        inputs.
    """
    if op not in OPERATIONS:
        raise ModelError(
            f"{name}: layer type '{op}' is not known; known: {', '.join(sorted(OPERATIONS))}"
        )
    table, given = OPERATIONS[op], dict(attrs or {})
    inputs = tuple(inputs)
    unknown = sorted(set(given) - set(table.attrs))
    if unknown:
        raise ModelError(
            f"{name}: {op} has no attribute '{unknown[0]}'; it has "
            f"{', '.join(table.attrs) or 'none'}"
        )
    missing = [key for key, value in table.attrs.items() if value is REQUIRED and key not in given]
    if missing:
        raise ModelError(f"{name}: {op} needs the attribute '{missing[0]}'")
    if (table.arity >= 0 and len(inputs) != table.arity) or (table.arity < 0 and len(inputs) < 2):
        wanted = str(table.arity) if table.arity >= 0 else "two or more"
        raise ModelError(f"{name}: {op} takes {wanted} inputs, found {len(inputs)}")
    full = {key: _normalised(key, given.get(key, value)) for key, value in table.attrs.items()}
    for key, value in full.items():
        if sentence := refusal(op, key, value):
            raise ModelError(f"{name}: {sentence}")
    arrays = {key: np.asarray(value, np.float32) for key, value in (weights or {}).items()}
    return Node(name, op, inputs, full, arrays)


def _normalised(key, value):
    if key in PAIRS and isinstance(value, Integral):
        return (int(value),) * 2
    if isinstance(value, list | tuple):
        return tuple(tuple(v) if isinstance(v, list | tuple) else v for v in value)
    return value
