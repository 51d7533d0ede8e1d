"""Properties of a layer by which a backend selects its step."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.plan.linear import Linear


@dataclass(frozen=True, eq=False, kw_only=True)
class Case:
    """Properties of a layer by which a backend selects its step.

    Attributes
    ----------
    linear : Linear
    input_shape, output_shape : (height, width, channels)
    bound : int
        Largest magnitude of a partial sum for any input.
    input_range : (low, high)
        Of the inputs and the padding value.
    """

    linear: Linear
    input_shape: tuple[int, int, int]
    output_shape: tuple[int, int, int]
    bound: int
    input_range: tuple[int, int]
