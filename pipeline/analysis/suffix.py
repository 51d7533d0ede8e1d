"""Run variants of a program from the first layer that differs: common prefixes run once."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from simulator import Program, simulate
from simulator.layer import Layer

DTYPES = (np.uint8, np.int8, np.int16)


class SharedPrefix:
    """Outputs of a base program, from which its variants continue.

    Parameters
    ----------
    base : Program
    images : array of shape (n, *input shape)
    backend : str
        Of the emulator.
    """

    def __init__(self, base: Program, images: np.ndarray, backend: str = "auto"):
        self.base, self.images, self.backend = base, images, backend
        cuts = _cuts(base)
        parts: dict[str, list[np.ndarray]] = {name: [] for name in cuts}

        def keep(layer, values) -> None:
            if layer.name in parts:
                parts[layer.name].append(_narrow(values))

        self.outputs = simulate(base, images, probe=keep, backend=backend)
        self.held = {
            name: np.concatenate(found)
            for name, found in parts.items()
            if all(values is not None for values in found)
        }

    def run(self, variant: Program) -> tuple[np.ndarray, int]:
        """Return the outputs of a variant, and how many of its layers were run.

        Layers before the first one with another register have the base's outputs.
        """
        same = 0
        for mine, other in zip(self.base.layers, variant.layers, strict=False):
            if not equal_layers(mine, other):
                break
            same += 1
        if same == len(variant.layers) == len(self.base.layers):
            return self.outputs, 0
        start = next((n for n in range(same, 0, -1) if self._starts(n)), 0)
        if not start:
            return simulate(variant, self.images, backend=self.backend), len(variant.layers)
        before = variant.layers[start - 1]
        values = self.held[before.name]
        first, *rest = variant.layers[start:]
        tail = replace(
            variant,
            layers=(replace(first, inputs=()), *rest),
            input_shape=before.output_shape,
            input_dtype=values.dtype.name,
        )
        return simulate(tail, values, backend=self.backend), len(tail.layers)

    def _starts(self, place: int) -> bool:
        """Return whether a program can start at a place."""
        return self.base.layers[place - 1].name in self.held


def equal_layers(a: Layer, b: Layer) -> bool:
    """Return whether two layers have the same type and registers."""
    return type(a) is type(b) and all(
        _equal(getattr(a, field.name), getattr(b, field.name)) for field in fields(a)
    )


def _equal(a, b) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return a is not None and b is not None and np.array_equal(a, b)
    return a == b


def _cuts(program: Program) -> list[str]:
    """Return layers whose output is all that later layers read, in one place."""
    layers = program.layers
    cuts = []
    for place, layer in enumerate(layers[:-1]):
        later = layers[place + 1 :]
        done = {earlier.name for earlier in layers[: place + 1]}
        read = [(other.name, name) for other in later for name in other.inputs if name in done]
        if read == [(later[0].name, layer.name)] and not layer.gives_floats:
            cuts.append(layer.name)
    return cuts


def _narrow(values: np.ndarray) -> np.ndarray | None:
    """Return integers in the narrowest input type of a program; None if none holds them."""
    low, high = int(values.min()), int(values.max())
    for dtype in DTYPES:
        limits = np.iinfo(dtype)
        if limits.min <= low and high <= limits.max:
            return values.astype(dtype)
    return None
