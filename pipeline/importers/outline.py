"""The layers of a model file by name, whether they can be read or not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.graph.graph import Graph
from simulator.refusal import Refusal


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A layer of a file.

    Attributes
    ----------
    name : str
        By which ``until`` knows it.
    shown : str
        By which refusals name it.
    inputs : tuple of str
        Names of the layers that it reads.
    """

    name: str
    shown: str
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outline:
    """The layers of a file that depend on an input and lead to an output.

    Attributes
    ----------
    entries : tuple of Entry
        Each after those that it reads.
    inputs, outputs : tuple of str
        Names of the model's inputs, which are entries, and of the layers that are its outputs.
    """

    entries: tuple[Entry, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def without(self, refused: Iterable[str]) -> set[str]:
        """Return the names of the layers that depend on none of some."""
        out = set(refused)
        for entry in self.entries:
            if out.intersection(entry.inputs):
                out.add(entry.name)
        return {entry.name for entry in self.entries} - out

    def named(self, refusals: Iterable[Refusal]) -> set[str]:
        """Return the names of the layers that some refusals name."""
        shown = {layer.partition(" (")[0] for refusal in refusals for layer in refusal.layers}
        return {entry.name for entry in self.entries if entry.shown in shown}

    def before(self, ends: Iterable[str], graph: Graph) -> int:
        """Return how many layers lead to some nodes of a graph of this file, these included."""
        known = {entry.name: entry for entry in self.entries}
        known |= {entry.shown: entry for entry in self.entries}
        pending, found = list(ends), set()
        while pending:
            name = pending.pop()
            if name in known and known[name].name not in found:
                found.add(known[name].name)
                pending += known[name].inputs
            elif name not in known and name in graph.by_name:
                pending += graph.node(name).inputs
        return len(found - set(self.inputs))

    def frontier(self, inside: set[str]) -> tuple[str, ...]:
        """Return the layers of a part that others read, or that are outputs."""
        read = {
            source for entry in self.entries if entry.name not in inside for source in entry.inputs
        }
        ends = inside & (read | set(self.outputs)) - set(self.inputs)
        return tuple(entry.name for entry in self.entries if entry.name in ends)
