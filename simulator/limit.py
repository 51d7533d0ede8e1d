"""Published limits of a chip: predicates on `LayerFacts`, documented from their own constants."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from simulator.facts import LayerFacts
from simulator.refusal import Refusal

Excess = tuple[str, str, str]
"""(found, allowed, fix): phrases for users."""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Limit of some kinds of layers.

    Attributes
    ----------
    name, sentence : str
        For users; the sentence quotes the constants that the predicate compares with.
    kinds : tuple of str
        Kinds of layers that it applies to.
    find : function of LayerFacts
        Yields an `Excess` for each way in which the layer exceeds it.
    remark : bool
        True if the vendor's page can be read in several ways and only one of them forbids the
        layer: reported as a remark, not as a violation.
    """

    name: str
    sentence: str
    kinds: tuple[str, ...]
    find: Callable[[LayerFacts], Iterator[Excess]]
    remark: bool = False

    def exceeded(self, facts: LayerFacts) -> Iterator[Refusal]:
        """Yield the violations of this limit."""
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
        Names that docstrings of predicates may quote: ``globals()`` of the module.
    """

    def __init__(self, constants: Mapping[str, Any]):
        self.constants, self.declared = constants, []

    def __call__(self, *kinds: str, remark: bool = False) -> Callable:
        """Declare a limit for layers of `kinds`; the predicate's docstring is its sentence."""

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
        """Yield the violations of a layer."""
        for limit in self.declared:
            if not limit.remark:
                yield from limit.exceeded(facts)

    def remarks(self, facts: LayerFacts) -> Iterator[Refusal]:
        """Yield the violations of a layer under one of several readings of the vendor's page."""
        for limit in self.declared:
            if limit.remark:
                yield from limit.exceeded(facts)


class _Texts(dict):
    """Constants formatted for sentences: tuples become lists of numbers."""

    def __getitem__(self, name):
        value = super().__getitem__(name)
        return numbers(value) if isinstance(value, tuple) else value


def numbers(values, last: str = "or") -> str:
    """Format numbers: ``1, 3, 5 or 7``."""
    *front, end = map(str, values)
    return f"{', '.join(front)} {last} {end}" if front else end


def size(pair) -> str:
    """Format a pair or a shape: ``3x3``."""
    return "x".join(map(str, pair))


def sizes(sides) -> str:
    """Format sides of squares: ``3x3, 5x5 or 7x7``."""
    return numbers(f"{side}x{side}" for side in sides)


def pooling(facts: LayerFacts) -> str:
    """Format a layer's max pooling: ``max pooling 2x2 of stride 2x2``."""
    return f"max pooling {size(facts.pool)} of stride {size(facts.pool_stride)}"


def misplaced_pooling(facts: LayerFacts, allowed: tuple[str, ...]) -> Iterator[Excess]:
    """Yield a max pooling whose consumers are not of kinds in `allowed`, or are missing."""
    consumers = facts.consumers
    if facts.pool is None or consumers is None:
        return
    if not consumers or not set(consumers) <= set(allowed):
        found = ", ".join(dict.fromkeys(consumers)) or "the output"
        yield f"max pooling before {found}", numbers(allowed), "put a convolution after it"


def window(facts: LayerFacts) -> str:
    """Format a layer's kernel and stride: ``kernel 3x3, stride 1x1``."""
    return f"kernel {size(facts.kernel)}, stride {size(facts.stride)}"


def oversized(facts: LayerFacts, side: int, channels: int) -> Iterator[Excess]:
    """Yield an input with more than `side` rows or columns, or more than `channels`."""
    if max(facts.input_shape[:2]) > side or facts.input_shape[2] > channels:
        allowed = f"at most {side}x{side}x{channels}"
        yield f"input of {size(facts.input_shape)}", allowed, "use smaller maps or fewer channels"


def excess_inputs(facts: LayerFacts, most: int) -> Iterator[Excess]:
    """Yield a Dense layer with more than `most` inputs."""
    if facts.inputs > most:
        fix = "pool or convolve before flattening and retrain"
        yield f"{facts.inputs} inputs", f"at most {most}", fix
