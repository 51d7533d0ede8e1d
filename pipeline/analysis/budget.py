"""What widths cost on a chip: memory of weights and of maps, bits multiplied."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pipeline.errors import ConfigError
from simulator import Program

WEIGHT_KIB, ACTIVATION_KIB, MEMORY_KIB = "weight_kib", "activation_kib", "memory_kib"
MACS_BITS = "macs_bits"
BUDGETS = {
    WEIGHT_KIB: "memory of the weights in KiB",
    MACS_BITS: "bits multiplied per image: MACs times bits of weights times bits of inputs",
    ACTIVATION_KIB: "largest memory in KiB of the maps that exist at the same time",
    MEMORY_KIB: "both together",
}
DATA_BITS, SUM_BITS = 8, 32
"""Bits of images, and of sums that no output stage narrows."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a program costs.

    Attributes
    ----------
    weight_bytes : int
        Of weights at their register width; without biases and scales.
    macs_bits : int
        Bits multiplied per image: MACs, times bits of weights, times bits of inputs.
    activation_bytes : int
        Largest total of a layer's inputs, its output and what later layers still read.
    """

    weight_bytes: int
    macs_bits: int
    activation_bytes: int

    def within(self, budget: Mapping[str, float]) -> bool:
        """Return whether it is within a budget, a mapping of some of `BUDGETS` to numbers."""
        return all(self.of(name) <= number for name, number in budget.items())

    def of(self, name: str) -> float:
        """Return the figure that a budget called `name` limits."""
        return {
            WEIGHT_KIB: self.weight_bytes / 1024,
            MACS_BITS: self.macs_bits,
            ACTIVATION_KIB: self.activation_bytes / 1024,
            MEMORY_KIB: (self.weight_bytes + self.activation_bytes) / 1024,
        }[name]


def cost(program: Program) -> Cost:
    """Return what a program costs."""
    widths = map_bits(program)
    totals = [
        sum(values * widths[name] for name, values in alive.items())
        for _, alive in live_maps(program)
    ]
    return Cost(
        weight_bytes=sum(layer.weight_bytes for layer in program.layers),
        macs_bits=sum(
            layer.macs * weight_bits(layer) * input_bits(program, layer)
            for layer in program.layers
            if layer.macs
        ),
        activation_bytes=-(-max(totals, default=0) // 8),
    )


def live_maps(program: Program) -> Iterator[tuple[str, dict[str, int]]]:
    """Yield each layer of the chip with the values of the maps that exist while it runs, by layer.

    The first layer's image is not counted: the host streams it.
    """
    layers = [layer for layer in program.layers if not layer.on_host]
    last = {name: place for place, layer in enumerate(layers) for name in layer.inputs}
    sizes = {layer.name: math.prod(layer.output_shape) for layer in layers}
    for place, layer in enumerate(layers):
        names = [other.name for other in layers[:place] if last.get(other.name, -1) >= place]
        yield layer.name, {name: sizes[name] for name in (*names, layer.name)}


def map_bits(program: Program) -> dict[str, int]:
    """Return the bits of each layer's output."""
    found: dict[str, int] = {}
    for layer in program.layers:
        traits = layer.traits()
        bits = traits.get("output_bits")
        if bits is None and not layer.inputs:
            bits = traits.get("input_bits") or (None if layer.macs else DATA_BITS)
        if bits is None and len(layer.inputs) > 1:  # joins without an output stage move values
            bits = max(found[name] for name in layer.inputs)
        found[layer.name] = bits or SUM_BITS
    return found


def weight_bits(layer) -> int:
    """Return the bits of a layer's weights, 8 where it has none of its own."""
    return layer.traits().get("weight_bits") or DATA_BITS


def input_bits(program: Program, layer) -> int:
    """Return the bits of a layer's inputs."""
    widths = [program.by_name[name].traits().get("output_bits") for name in layer.inputs]
    return max((bits for bits in widths if bits), default=DATA_BITS)


def parsed(texts: Iterable[str], option: str) -> dict[str, float]:
    """Return a budget from texts such as ``weight_kib=64``; otherwise as `checked`."""
    pairs = (text.partition("=")[::2] for text in texts)
    return checked(dict(pairs), option)


def checked(budget: Mapping[str, object], option: str) -> dict[str, float]:
    """Return a budget as numbers.

    Parameters
    ----------
    budget : mapping of str to number, or text of one
    option : str
        What messages call it.

    Raises
    ------
    ConfigError
        If a name is unknown or a number is not above 0; lists all of them.
    """
    found = {name: _number(value) for name, value in budget.items()}
    wrong = [
        f"'{name}={budget[name]}'"
        for name, number in found.items()
        if name not in BUDGETS or not 0 < number < float("inf")
    ]
    if wrong:
        allowed = "=NUMBER, ".join(BUDGETS)
        raise ConfigError(f"{option}: found {', '.join(wrong)}; allowed: {allowed}=NUMBER, above 0")
    return found


def _number(value: object) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return -1.0
