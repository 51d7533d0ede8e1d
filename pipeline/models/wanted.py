"""What a user says about a model file that the file does not say itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import ModelError
from pipeline.graph.graph import Graph


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """How to read a file.

    Attributes
    ----------
    input_shape : tuple of int or None
        Sizes of one image in the order of the file, where the file leaves some open.
    until : tuple of str
        The nodes or layers whose outputs become the model's; empty for all of the model. One name,
        or None, may be given instead.
    architecture : str or None
        For a file of weights only: a model's JSON file, or the name of an architecture.
    """

    input_shape: tuple[int, ...] | None = None
    until: tuple[str, ...] = ()
    architecture: str | None = None

    def __post_init__(self):
        """Accept one name for a tuple of names."""
        names = (self.until,) if isinstance(self.until, str) else tuple(self.until or ())
        object.__setattr__(self, "until", tuple(dict.fromkeys(names)))

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Wanted:
        """Return what a configuration or a certificate holds under the names of the attributes.

        Raises
        ------
        ModelError
            When a value is of another type.
        """
        shape, until = values.get("input_shape"), values.get("until")
        sizes = shape if shape is None else tuple(shape) if isinstance(shape, list | tuple) else ()
        if sizes is not None and not (sizes and all(type(n) is int and n > 0 for n in sizes)):
            raise ModelError(f"input_shape is {shape!r}; allowed: a list of sizes, or none")
        names = until if isinstance(until, list | tuple) else [until] * (until is not None)
        if not all(isinstance(name, str) for name in names):
            raise ModelError(
                f"until is {until!r}; allowed: the name of a layer, a list of names, or none"
            )
        architecture = values.get("architecture")
        if architecture is not None and not isinstance(architecture, str):
            raise ModelError(f"architecture is {architecture!r}; allowed: a text, or none")
        return cls(input_shape=sizes, until=tuple(names), architecture=architecture)

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values, from which `of` makes the same."""
        shape, names = self.input_shape, list(self.until)
        found = {
            "input_shape": shape if shape is None else list(shape),
            "until": names if len(names) > 1 else (names or [None])[0],
        }
        return found if self.architecture is None else found | {"architecture": self.architecture}

    def ended(self, graph: Graph, label) -> Graph:
        """Return a graph that ends at `until`, without the layers that only follow it.

        Raises
        ------
        ModelError
            When it has no such layer.
        """
        for name in self.until:
            if name not in graph.by_name:
                names = ", ".join(list(graph.by_name)[-5:])
                raise ModelError(f"{label}: has no layer '{name}'; the last are {names}")
        return graph.ended(self.until) if self.until else graph


AS_IT_IS = Wanted()
"""Nothing is said."""
