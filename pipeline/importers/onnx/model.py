"""An ONNX file as plain data: nodes, constants, inputs and outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.errors import ModelError

"""What values of the wrong kind or size raise where they are read; ModelError is a ValueError."""


@dataclass(frozen=True, eq=False, kw_only=True)
class OnnxNode:
    """One node.

    Attributes
    ----------
    name : str
        The file's name of it; where it has none, its operator and its first output.
    op : str
        Operator, with its domain where that is not ONNX' own.
    inputs, outputs : tuple of str
        Names of tensors; an empty one is left out.
    attrs : mapping of str to value
        Numbers, texts, tuples of them, and arrays.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Any]


def plain_name(name: str) -> str:
    """Return a name without the slash in front that exporters write, and without empty parts."""
    return "/".join(part for part in name.split("/") if part not in ("", ".."))


@dataclass(frozen=True, kw_only=True)
class OnnxInput:
    """One input of the model: its dtype, and its sizes with the batch, None where unknown."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class OnnxModel:
    """A model.

    Attributes
    ----------
    name, label : str
        Name of the model; name of its file, for messages.
    opset : int
        Version of ONNX' own operators.
    nodes : tuple of OnnxNode
    constants : mapping of str to array
        Initializers, and what is computed from them.
    inputs : tuple of OnnxInput
        Without those that are initializers.
    outputs : tuple of str
        Names of tensors.
    """

    name: str
    label: str
    opset: int
    nodes: tuple[OnnxNode, ...]
    constants: Mapping[str, np.ndarray]
    inputs: tuple[OnnxInput, ...]
    outputs: tuple[str, ...]

    @property
    def producers(self) -> dict[str, OnnxNode]:
        """Tensor to the node that computes it."""
        return {output: node for node in self.nodes for output in node.outputs if output}

    def tensor(self, name: str) -> str:
        """Return the tensor of a name: its own, or that of the node that computes it first.

        Raises
        ------
        ModelError
            When neither a tensor that is computed nor a node has the name.
        """
        for node in self.nodes:
            if name and name in node.outputs:
                return name
        for node in self.nodes:
            if plain_name(name) == node.name:
                return node.outputs[0]
        raise ModelError(
            f"{self.label}: has no node '{name}'; the last are"
            f" {', '.join(node.name for node in self.nodes[-5:])}"
        )

    @property
    def uses(self) -> Counter:
        """How often each tensor is read, by nodes or as an output."""
        return Counter([*self.outputs, *(name for node in self.nodes for name in node.inputs)])

    def sorted_and_needed(self) -> OnnxModel:
        """Return the model with the nodes that lead to an output, each after its inputs.

        Inputs that these do not read are left out.

        Raises
        ------
        ModelError
            When nodes wait for each other or for a tensor that nothing computes.
        """
        producers = self._checked_producers()
        known = {*self.constants, *(given.name for given in self.inputs), ""}
        done: dict[int, OnnxNode] = {}
        entered: set[int] = set()
        stack = [(name, False) for name in reversed(self.outputs)]
        while stack:
            name, ready = stack.pop()
            if name in known:
                continue
            if name not in producers:
                raise ModelError(
                    f"{self.label}: nothing computes the tensor '{name[:80]}'; the file is damaged"
                )
            node = producers[name]
            if ready:
                done[id(node)] = node
                known.update(node.outputs)
            elif id(node) in entered:
                raise ModelError(
                    f"{self.label}: {node.name} ({node.op}) waits for its own output; the file is"
                    " damaged"
                )
            else:
                entered.add(id(node))
                stack.append((name, True))
                stack += [(source, False) for source in reversed(node.inputs)]
        read = {*self.outputs, *(name for node in done.values() for name in node.inputs)}
        inputs = tuple(entry for entry in self.inputs if entry.name in read)
        return replace(self, nodes=tuple(done.values()), inputs=inputs or self.inputs)

    def _checked_producers(self):
        counts = Counter(output for node in self.nodes for output in node.outputs if output)
        taken = {*self.constants, *(given.name for given in self.inputs)}
        for name, count in counts.items():
            if count > 1 or name in taken:
                raise ModelError(
                    f"{self.label}: the tensor '{name[:80]}' is computed or given twice; the file"
                    " is damaged"
                )
        return self.producers

    def with_nodes(self, nodes: Iterable[OnnxNode], constants: Mapping | None = None) -> OnnxModel:
        """Return the model made of other nodes, and of further constants."""
        return replace(self, nodes=tuple(nodes), constants={**self.constants, **(constants or {})})
