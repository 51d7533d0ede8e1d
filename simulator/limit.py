"""A published limit of a chip: a predicate on facts, whose sentence names its own constants."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from simulator.facts import LayerFacts
from simulator.refusal import Refusal

Excess = tuple[str, str, str]
"""What was found, what is allowed, what to do."""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One limit.

    Attributes
    ----------
    name, sentence : str
        For users; numbers of the sentence come from the constants that the predicate compares.
    kinds : tuple of str
        Layers that it concerns.
    find : function of LayerFacts
        Yields an `Excess` for each way in which the layer exceeds it.
    remark : bool
        It is one of several readings of the vendor's page: worth a remark, and no violation.
    """

    name: str
    sentence: str
    kinds: tuple[str, ...]
    find: Callable[[LayerFacts], Iterator[Excess]]
    remark: bool = False

    def exceeded(self, facts: LayerFacts) -> Iterator[Refusal]:
        """Yield what exceeds this limit."""
        if facts.kind in self.kinds:
            for found, allowed, fix in self.find(facts):
                yield Refusal(
                    layers=(facts.name,), found=found, allowed=allowed, fix=fix, rule=self.name
                )


class Limits:
    """The limits of one chip, declared one by one with ``@limits(kind, ...)``.

    Parameters
    ----------
    constants : mapping
        Names that the docstrings of predicates may quote: ``globals()`` of the module.
    """

    def __init__(self, constants: Mapping[str, Any]):
        self.constants, self.declared = constants, []

    def __call__(self, *kinds: str, remark: bool = False) -> Callable:
        """Declare a limit of layers of these kinds: its docstring is the sentence."""

        def declare(find):
            sentence = " ".join(inspect.getdoc(find).split("\n\n")[0].split())
            self.declared.append(
                Limit(
                    name=find.__name__,
                    sentence=sentence.format_map(_Texts(self.constants)),
                    kinds=kinds,
                    find=find,
                    remark=remark,
                )
            )
            return find

        return declare

    def exceeded(self, facts: LayerFacts) -> Iterator[Refusal]:
        """Yield every limit that a layer exceeds."""
        for limit in self.declared:
            if not limit.remark:
                yield from limit.exceeded(facts)

    def remarks(self, facts: LayerFacts) -> Iterator[Refusal]:
        """Yield what exceeds one reading of a limit that the vendor's page leaves open."""
        for limit in self.declared:
            if limit.remark:
                yield from limit.exceeded(facts)


class _Texts(dict):
    """Constants as sentences quote them: tuples as lists of numbers."""

    def __getitem__(self, name):
        value = super().__getitem__(name)
        return numbers(value) if isinstance(value, tuple) else value


def numbers(values, last: str = "or") -> str:
    """Return numbers for users: ``1, 3, 5 or 7``."""
    *front, end = map(str, values)
    return f"{', '.join(front)} {last} {end}" if front else end


def size(pair) -> str:
    """Return a pair or a shape for users: ``3x3``."""
    return "x".join(map(str, pair))


def sizes(sides) -> str:
    """Return the sides of squares for users: ``3x3, 5x5 or 7x7``."""
    return numbers(f"{side}x{side}" for side in sides)


def pooling(facts: LayerFacts) -> str:
    """Return a layer's max pooling for users."""
    return f"max pooling {size(facts.pool)} of stride {size(facts.pool_stride)}"


def unfollowed(facts: LayerFacts, allowed: tuple[str, ...]) -> Iterator[Excess]:
    """Yield a max pooling whose layer other kinds than `allowed`, or none, read."""
    followers = facts.followers
    if facts.pool is None or followers is None:
        return
    if not followers or not set(followers) <= set(allowed):
        found = ", ".join(dict.fromkeys(followers)) or "the output"
        yield f"max pooling before {found}", numbers(allowed), "put a convolution after it"


def window(facts: LayerFacts) -> str:
    """Return a layer's kernel and stride for users."""
    return f"kernel {size(facts.kernel)}, stride {size(facts.stride)}"


def oversized(facts: LayerFacts, side: int, channels: int) -> Iterator[Excess]:
    """Yield an input with a side or channels beyond these."""
    if max(facts.input_shape[:2]) > side or facts.input_shape[2] > channels:
        allowed = f"at most {side}x{side}x{channels}"
        yield f"input of {size(facts.input_shape)}", allowed, "use smaller maps or fewer channels"


def too_many(facts: LayerFacts, most: int) -> Iterator[Excess]:
    """Yield more than `most` inputs of a Dense layer."""
    if facts.inputs > most:
        fix = "pool or convolve before flattening and retrain"
        yield f"{facts.inputs} inputs", f"at most {most}", fix
