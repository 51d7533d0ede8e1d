"""Build a graph from an architecture file: the YAML list of layers *is* the graph."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from pipeline.errors import ModelError
from pipeline.graph.blocks import BLOCKS, Draft
from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.graph.initialise import initialise
from pipeline.graph.node import Node
from pipeline.graph.operations import OPERATIONS
from pipeline.graph.parameters import Parameters, read_parameters
from pipeline.graph.values import read_value

INPUT = "input"
DTYPES = ("uint8", "int8", "int16", "float32")
_OPERATIONS = {op.lower(): op for op in OPERATIONS if op != "Input"}


def build_graph(model: Mapping[str, Any] | Any, *, seed: int = 0) -> Graph:
    """Build the graph that `model` describes, with fresh weights.

    Parameters
    ----------
    model : mapping or dataclass
        ``name``, ``input`` (``shape`` without the batch, ``dtype``) and ``layers``, a list of
        one-key mappings ``{block or operation: options}``. Blocks are those of
        `pipeline.graph.blocks`, operations those of `pipeline.graph.operations`, by class name
        or in snake case. Options are Keras' attributes, plus ``name`` (default: Keras' own) and
        ``input`` or ``inputs`` (default: the layer before).

        Optional: ``version`` with ``versions``, a list of the options that blocks have in each;
        ``blocks``, the options that all blocks share; ``alpha``, by which each ``filters`` is
        multiplied; ``classes`` and ``boxes``, to be used in sizes; ``input_shape``, which goes
        before ``input.shape``.
    seed : int
        Seed of the kernels' random values.

    Raises
    ------
    ModelError
        If the description is wrong; names every wrong entry and the allowed values.
    """
    if dataclasses.is_dataclass(model):
        model = dataclasses.asdict(model)
    name = str(model.get("name") or "model")
    problems: list[str] = []
    parameters = read_parameters(model, problems)
    nodes = _input(model, problems)
    layers = model.get("layers")
    if not isinstance(layers, list | tuple) or not layers:
        problems.append("layers: found none; give a list of layers, such as '- Flatten: {}'")
        layers = []
    counter: Counter[str] = Counter()
    for number, entry in enumerate(layers):
        try:
            nodes += _entry(entry, nodes, counter, parameters)
        except ModelError as error:
            problems.append(f"layers[{number}] {error}")
            # A placeholder of the entry's name keeps later references to it valid.
            nodes.append(_placeholder(entry, number, nodes))
    if not problems:
        problems += _unused(nodes)
    if problems:
        raise ModelError(_message(name, problems))
    try:
        return initialise(Graph(name, tuple(nodes), nodes[-1].name), seed=seed)
    except ModelError as error:
        raise ModelError(f"model {name}: {error}") from error


def keras_name(op: str) -> str:
    """Return Keras' name of the first layer of class `op`: ``ReLU`` gives ``re_lu``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])", "_", op).lower()


def _input(model, problems) -> list[Node]:
    value = model.get("input")
    value = {} if value is None else value
    allowed = "allowed: shape (a list such as [8, 8, 1]), dtype"
    if not isinstance(value, Mapping):
        problems.append(f"input: found {value!r}; {allowed}")
        value = {"shape": [1]}
    if model.get("input_shape") is not None:
        value = {**value, "shape": model["input_shape"]}
    problems += [f"input.{key}: no such key; {allowed}" for key in value if key not in _INPUT_KEYS]
    shape, dtype = value.get("shape"), value.get("dtype") or "uint8"
    good = isinstance(shape, list | tuple) and 1 <= len(shape) <= 4
    if not good or not all(type(n) is int and n > 0 for n in shape):
        problems.append(
            f"input.shape: found {shape!r}; give whole numbers above 0, without the batch, such as"
            " [8, 8, 1] (height, width, channels)"
        )
        shape = (1, 1, 1)
    if dtype not in DTYPES:
        problems.append(f"input.dtype: found {dtype!r}; allowed: {', '.join(DTYPES)}")
        dtype = "uint8"
    return [make_node(INPUT, "Input", (), {"shape": tuple(shape), "dtype": dtype})]


_INPUT_KEYS = ("shape", "dtype")


def _entry(entry, nodes, counter, parameters: Parameters) -> list[Node]:
    """Return the nodes of one entry of the list."""
    if isinstance(entry, str):
        entry = {entry: {}}
    if not isinstance(entry, Mapping) or len(entry) != 1:
        raise ModelError(
            f"is {entry!r}; write one layer per entry, '- conv_block: {{filters: 16, ...}}'"
        )
    kind, options = next(iter(entry.items()))
    op = _operation(kind)
    try:
        if options is not None and not isinstance(options, Mapping):
            raise ModelError(f"its options are {options!r}; give 'key: value' pairs")
        allowed = () if op else (*BLOCKS[kind].required, *BLOCKS[kind].options)
        options = parameters.resolve(options or {}, allowed)
        name = _name(options.pop("name", None), op or BLOCKS[kind].op, counter)
        inputs = _inputs(options, nodes)
        drafts = [Draft(op, name, options)] if op else BLOCKS[kind].drafts(name, options)
        return _chain(drafts, inputs, nodes)
    except ModelError as error:
        raise ModelError(f"{kind}: {error}") from error


def _operation(kind) -> str | None:
    """Return the operation called `kind`; None if it is a block."""
    if kind in BLOCKS:
        return None
    key = str(kind).replace("_", "").lower()
    if key in _OPERATIONS:
        return _OPERATIONS[key]
    if key == INPUT:
        raise ModelError(f"{kind}: the input is not a layer; describe it under 'input'")
    known = (*BLOCKS, *_OPERATIONS.values())
    close = difflib.get_close_matches(str(kind), known, n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    raise ModelError(f"{kind}: not known{hint or '.'} Known: {', '.join(known)}")


def _name(given, op, counter) -> str:
    if given is not None:
        if not isinstance(given, str) or not given:
            raise ModelError(f"name is {given!r}; give a text")
        return given
    base = keras_name(op)
    number = counter[base]
    counter[base] += 1
    return f"{base}_{number}" if number else base


def _inputs(options, nodes) -> tuple[str, ...]:
    if "input" in options and "inputs" in options:
        raise ModelError("has both 'input' and 'inputs'; give one")
    given = options.pop("inputs", options.pop("input", None))
    if given is None:
        return (nodes[-1].name,)
    return (given,) if isinstance(given, str) else tuple(given)


def _chain(drafts, inputs, nodes) -> list[Node]:
    names = {node.name for node in nodes}
    for source in inputs:
        if source not in names:
            known = [node.name for node in nodes]
            known = difflib.get_close_matches(source, known, 3) or known
            raise ModelError(
                f"its input '{source}' is not the name of an earlier layer, such as"
                f" {', '.join(known[-8:])}"
            )
    chain, first = [], inputs
    for draft in drafts:
        if draft.name in names:
            raise ModelError(f"the name '{draft.name}' is taken by another layer; choose another")
        names.add(draft.name)
        attrs = {key: read_value(draft.op, key, value) for key, value in draft.attrs.items()}
        sources = (*inputs, *first) if draft.joins else inputs
        chain.append(make_node(draft.name, draft.op, sources, attrs))
        inputs = (draft.name,)
    return chain


def _placeholder(entry, number, nodes) -> Node:
    options = next(iter(entry.values()), None) if isinstance(entry, Mapping) else None
    name = options.get("name") if isinstance(options, Mapping) else None
    names = {node.name for node in nodes}
    if not isinstance(name, str) or name in names:
        name = f"layers[{number}]"
    return make_node(name, "Flatten", (nodes[-1].name,))


def _unused(nodes) -> list[str]:
    read = {source for node in nodes for source in node.inputs}
    return [
        f"{node.name}: it has no consumer; name it under 'inputs' of a later layer or remove it"
        for node in nodes[:-1]
        if node.name not in read
    ]


def _message(name, problems) -> str:
    if len(problems) == 1:
        return f"model {name}: {problems[0]}"
    lines = "\n".join(f"  - {problem}" for problem in problems)
    return f"model {name}: {len(problems)} problems:\n{lines}"
