"""Bit widths chosen for single layers: which of them counts for each node of a prepared graph.

Keys of ``quantization.layers`` are names of layers, patterns with ``*``, ``?`` and ``[...]``, or
layer types (``DepthwiseConv2D``). Names are those of the model that is quantized. A layer that
preparation folds into another one, or that was split in two before, still selects what it became.
An output's width belongs to the last layer of its block (the ReLU, say), which every layer of the
block selects.

Of several keys that select a width, the most specific one counts, whatever their order: a name
before a pattern, a pattern before a type; of two names or types the one of the nearer layer; of two
patterns the one with more characters besides wildcards. Equally specific ones must agree.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase

from pipeline.graph.graph import Graph
from pipeline.graph.node import Node
from pipeline.graph.operations import OPERATIONS
from pipeline.graph.traits import JOINS, NEURAL
from pipeline.messages.settings import setting
from simulator.refusal import Refusal

WEIGHTS, ACTIVATION, OUTPUT = "weight_bits", "activation_bits", "output_bits"
TYPE, PATTERN, NAME = range(3)
WILDCARDS = re.compile(r"\[[^]]*\]|[*?]")
VANISHING = ("BatchNormalization", "Dropout", "Activation")
"""Operations that preparation folds into the layer before them, or removes after it."""
SUGGESTIONS = 3


@dataclass(frozen=True)
class Label:
    """A name and a layer type under which a width is selected.

    Attributes
    ----------
    name, op : str
    distance : float
        Layers between the one that has the width and this one.
    """

    name: str
    op: str
    distance: float


class LayerChoices:
    """The choices for one model; `bits` gives the width of a node.

    Parameters
    ----------
    layers : mapping of str to LayerWidths
        The configuration's ``quantization.layers``.
    graph : Graph
        Prepared graph.
    source : Graph, optional
        The same model before preparation, whose names count as well.
    """

    def __init__(self, layers: Mapping, graph: Graph, source: Graph | None = None):
        self.layers, self.graph = layers, graph
        self.source = graph if source is None else source
        self.aliases = _aliases(graph, self.source) if layers else {}
        self.names = {*graph.by_name, *(name for name, _ in self._all_aliases())}
        self.used: set[tuple[str, str]] = set()
        self.conflicts: list[Refusal] = []

    def bits(self, node: Node, key: str, default: int) -> int:
        """Return the width of a node's weights or output.

        Parameters
        ----------
        node : Node
            Of the prepared graph: it has the kernel, or the output quantizer.
        key : {"weight_bits", "activation_bits", "output_bits"}
        default : int
            The whole model's width.
        """
        found: dict[tuple, dict[str, int]] = {}
        for pattern, widths in self.layers.items():
            value = getattr(widths, key)
            rank = None if value is None else self._rank(pattern, self._labels(node, key))
            if rank is not None:
                self.used.add((pattern, key))
                found.setdefault(rank, {})[pattern] = value
        if not found:
            return default
        best = found[max(found)]
        if len(set(best.values())) > 1:
            self.conflicts.append(_conflict(node, key, best))
        return next(iter(best.values()))

    def refusals(self) -> list[Refusal]:
        """Return a refusal for every choice that selects nothing, once all widths were asked."""
        unused = [
            self._unused(pattern, key.name)
            for pattern, widths in self.layers.items()
            for key in fields(widths)
            if getattr(widths, key.name) is not None
            and (pattern, key.name) not in self.used
            and self._kind(pattern) != TYPE
            and self._selects(pattern)
        ]
        unknown = [self._unknown(pattern) for pattern in self.layers if not self._selects(pattern)]
        return [*unknown, *unused, *self.conflicts]

    def _kind(self, pattern: str) -> int:
        if pattern in self.names or pattern in self.source.by_name:
            return NAME
        return TYPE if pattern in OPERATIONS else PATTERN

    def _rank(self, pattern: str, labels: list[Label]) -> tuple | None:
        """Return how specific a key is for a width, a tuple to compare; None without a match."""
        kind = self._kind(pattern)
        distances = [label.distance for label in labels if _matches(kind, pattern, label)]
        if not distances:
            return None
        literals = len(WILDCARDS.sub("", pattern)) if kind == PATTERN else 0
        return kind, literals, -min(distances)

    def _labels(self, node: Node, key: str) -> list[Label]:
        """Return all names that select a width of `node`, the nearest first."""
        labels: list[Label] = []
        members = [node] if key == WEIGHTS else self._block(node)
        for distance, member in enumerate(members):
            labels.append(Label(member.name, member.op, distance))
            for name, op in self.aliases.get(member.name, ()):
                labels.append(Label(name, op, distance + 0.5))
        return labels

    def _block(self, node: Node) -> list[Node]:
        """Return the layers whose output `node` quantizes, from itself back to the block's head."""
        members = [node]
        while members[-1].op not in (*NEURAL, *JOINS) and members[-1].inputs:
            before = self.graph.node(members[-1].inputs[0])
            if before.op == "Input":
                break
            members.append(before)
        return members

    def _all_aliases(self) -> Iterator[tuple[str, str]]:
        for found in self.aliases.values():
            yield from found

    def _selects(self, pattern: str) -> bool:
        """Return whether a layer of the model, or any layer type, matches."""
        if self._kind(pattern) != PATTERN:
            return True
        names = {*self.names, *self.source.by_name}
        return any(fnmatchcase(name, pattern) for name in names)

    def _unknown(self, pattern: str) -> Refusal:
        known = [*dict.fromkeys([*self.source.by_name, *self.names]), *OPERATIONS]
        near = difflib.get_close_matches(pattern, known, SUGGESTIONS)
        fix = f"did you mean {' or '.join(near)}?" if near else "'crossgrade describe' lists them"
        return Refusal(
            found=f"{setting('quantization.layers')}: no layer is called '{pattern}'",
            allowed="names, patterns such as 'dw_*', layer types",
            fix=fix,
        )

    def _unused(self, pattern: str, key: str) -> Refusal:
        value = getattr(self.layers[pattern], key)
        return Refusal(
            found=f"{setting('quantization.layers')}: '{pattern}' has {key}={value}, but no such"
            f" layer {HAS[key]}",
            allowed=ALLOWED[key],
        )


HAS = {
    WEIGHTS: "has a kernel",
    ACTIVATION: "ends in an activation whose output is quantized",
    OUTPUT: "has a quantized output without an activation",
}
ALLOWED = {
    WEIGHTS: "convolutions and dense layers",
    ACTIVATION: "blocks with an activation; output_bits for others",
    OUTPUT: "blocks without activation (scheme quantizeml); activation_bits for others",
}


def _matches(kind: int, pattern: str, label: Label) -> bool:
    if kind == NAME:
        return label.name == pattern
    if kind == TYPE:
        return label.op == pattern
    return fnmatchcase(label.name, pattern)


def _conflict(node: Node, key: str, values: Mapping[str, int]) -> Refusal:
    given = " and ".join(f"'{pattern}' has {value}" for pattern, value in values.items())
    return Refusal(
        layers=(node.name,),
        found=f"{setting('quantization.layers')}: {key} of {given}, equally specific",
        allowed="one width",
        fix=f"give {node.name} its own",
    )


def _aliases(graph: Graph, source: Graph) -> dict[str, list[tuple[str, str]]]:
    """Return, by node of the prepared graph, names and types of layers that became part of it."""
    found: dict[str, list[tuple[str, str]]] = {}
    for node in graph.nodes:
        if (name := _split_from(graph, node)) is not None:
            found.setdefault(node.name, []).append((name, "SeparableConv2D"))
    for node in source.nodes:
        if node.name not in graph.by_name and node.op in VANISHING:
            kept = source.node(node.inputs[0])
            while kept.name not in graph.by_name and kept.inputs:
                kept = source.node(kept.inputs[0])
            found.setdefault(kept.name, []).append((node.name, node.op))
    return found


def _split_from(graph: Graph, node: Node) -> str | None:
    """Return the layer from which `node` was split, in files known by its prefix only."""
    if node.split_from is not None:
        return node.split_from
    for prefix in ("dw_", "pw_"):
        name = node.name.removeprefix(prefix)
        if name != node.name and {f"dw_{name}", f"pw_{name}"} <= graph.by_name.keys():
            return None if name in graph.by_name else name
    return None
