"""Parameters of an architecture file: version, width, input shape and number of classes."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import ModelError
from pipeline.graph.values import COUNTS

PARAMETERS = {
    "version": "One of `versions`, whose options the blocks then have.",
    "alpha": "Width: multiplies each `filters`, rounded down. A layer's own `alpha` overrides it.",
    "input_shape": "Goes before `input.shape`.",
    "classes": "Number of classes, which sizes may use: `units: classes`.",
    "boxes": "Number of boxes per cell, which sizes may use: `filters: 5 * (classes + 4)`.",
}
"""Values that a user changes without editing the file; their meaning."""
KEYS = {
    "name": "Name of the model.",
    "input": "`shape` of one image without the batch, `[height, width, channels]`, and `dtype`.",
    **PARAMETERS,
    "versions": "List of the options of blocks in each version: `- {version: 1.0, fused: true}`.",
    "blocks": "Options that all blocks share, where they have them.",
    "layers": "List of blocks and operations, in order.",
}
"""The keys of an architecture at its top level; their meaning."""
WIDTHS = ("filters", "expanded_filters")
SIZES = COUNTS.union(WIDTHS, ("target_shape",))
_ARITHMETIC = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
}


@dataclass(frozen=True)
class Parameters:
    """Values of a model's parameters, and the options that its blocks share.

    Attributes
    ----------
    alpha : float
        Every ``filters`` is multiplied by it and rounded down; a layer's own ``alpha`` overrides
        it.
    sizes : mapping of str to int
        ``classes`` and ``boxes``, if the model has them: names that sizes may use.
    blocks : mapping
        Defaults of options for every block that has them.
    """

    alpha: float = 1.0
    sizes: Mapping[str, int] = field(default_factory=dict)
    blocks: Mapping[str, Any] = field(default_factory=dict)

    def resolve(self, options: Mapping[str, Any], allowed=()) -> dict[str, Any]:
        """Return the options of one layer with all parameters resolved.

        Parameters
        ----------
        options : mapping
            As the file gives them.
        allowed : iterable of str
            The options of the layer's block; empty for an operation.

        Raises
        ------
        ModelError
            For an unreadable size or width.
        """
        shared = {key: value for key, value in self.blocks.items() if key in allowed}
        full = {**shared, **options}
        for key in full:
            if key in SIZES:
                full[key] = self._size(key, full[key])
        widths = [key for key in WIDTHS if type(full.get(key)) is int]
        if widths:
            alpha = full.pop("alpha", self.alpha)
            if type(alpha) not in (int, float) or not 0 < alpha < math.inf:
                raise ModelError(f"alpha is {alpha!r}; allowed: a number above 0")
            for key in widths:
                full[key] = _scaled(key, full[key], alpha)
        return full

    def _size(self, key, value):
        if isinstance(value, list | tuple):
            return [self._size(key, item) for item in value]
        return evaluate(key, value, self.sizes) if isinstance(value, str) else value


def evaluate(key: str, text: str, sizes: Mapping[str, int]) -> int:
    """Return the value of a size written in terms of parameters, such as ``5 * (classes + 4)``.

    Raises
    ------
    ModelError
        If it contains anything but sums and products of integers and known parameters.
    """

    def value(node):
        if isinstance(node, ast.Expression):
            return value(node.body)
        if isinstance(node, ast.Constant) and type(node.value) is int:
            return node.value
        if isinstance(node, ast.Name) and node.id in sizes:
            return sizes[node.id]
        if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
            return _ARITHMETIC[type(node.op)](value(node.left), value(node.right))
        raise ValueError

    try:
        return value(ast.parse(text.strip(), mode="eval"))
    except (ValueError, SyntaxError, ZeroDivisionError, RecursionError, MemoryError) as error:
        known = ", ".join(sizes) or "none here"
        raise ModelError(
            f"{key} is {text!r}; allowed: a whole number above 0, or a sum or product with the"
            f" model's parameters ({known})"
        ) from error


def read_parameters(model: Mapping[str, Any], problems: list[str]) -> Parameters:
    """Return the parameters of an architecture, and append every problem to `problems`."""
    for key in model:
        if key not in KEYS:
            problems.append(f"{key}: no such key; allowed: {', '.join(KEYS)}")
    alpha = model.get("alpha", 1.0)
    if type(alpha) not in (int, float) or not 0 < alpha < math.inf:
        problems.append(f"alpha: found {alpha!r}; allowed: a number above 0")
        alpha = 1.0
    sizes = {}
    for key in ("classes", "boxes"):
        if key not in model:
            continue
        sizes[key] = model[key]
        if type(model[key]) is not int or model[key] < 1:
            problems.append(f"{key}: found {model[key]!r}; allowed: a whole number above 0")
            sizes[key] = 1
        elif not _mentioned(model.get("layers"), key):
            problems.append(f"{key}: no layer of this model depends on it; remove it")
    return Parameters(alpha, sizes, _blocks(model, problems))


def _blocks(model, problems) -> dict[str, Any]:
    """Return the options that blocks share, including those of the chosen version."""
    blocks = model.get("blocks") or {}
    if not isinstance(blocks, Mapping):
        problems.append(f"blocks: found {blocks!r}; give the options that all blocks share")
        blocks = {}
    rows = model.get("versions") or []
    good = isinstance(rows, list | tuple) and all(
        isinstance(row, Mapping) and "version" in row for row in rows
    )
    if not good:
        problems.append("versions: give a list such as '- {version: 1.0, fused: true}'")
        return dict(blocks)
    wanted = model.get("version")
    if not rows:
        if wanted is not None:
            problems.append(f"version: found {wanted!r}; this model has no versions, remove it")
        return dict(blocks)
    found = [row for row in rows if type(wanted) in (int, float) and row["version"] == wanted]
    if not found:
        known = ", ".join(str(row["version"]) for row in rows)
        problems.append(f"version: found {wanted!r}; allowed: {known}")
    # The first version replaces an unknown one, so that the layers are still checked.
    row = (found or rows)[0]
    return {**blocks, **{key: value for key, value in row.items() if key != "version"}}


def _scaled(key, value, alpha) -> int:
    scaled = int(value * alpha)
    if value > 0 and scaled < 1:
        raise ModelError(f"{key} is {value}, times alpha {alpha} is below 1; use a larger alpha")
    return scaled


def _mentioned(value, name) -> bool:
    """Return True if a size somewhere in `value` uses the parameter `name`."""
    if isinstance(value, Mapping):
        return any(_mentioned(item, name) for item in value.values())
    if isinstance(value, list | tuple):
        return any(_mentioned(item, name) for item in value)
    return isinstance(value, str) and name in value
