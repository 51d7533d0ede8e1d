"""Base of all hardware layers: a frozen record of registers that runs, checks and reports."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simulator.facts import LayerFacts
from simulator.integer import Tally

Shape = tuple[int, int, int]


@dataclass(frozen=True, eq=False, kw_only=True)
class Layer:
    """One layer of a program.

    Attributes
    ----------
    name : str
        Unique in its program.
    inputs : tuple of str
        Layers that feed it; empty for the first, which reads the program's input.
    input_shapes : tuple of (height, width, channels)
        One per input (one for the first layer).
    """

    name: str
    inputs: tuple[str, ...]
    input_shapes: tuple[Shape, ...]

    reads_floats: ClassVar[bool] = False
    """Whether the inputs are floating-point numbers; all others are integers."""
    gives_floats: ClassVar[bool] = False
    """Whether the output is."""
    clips: ClassVar[tuple[str, ...]] = ()
    """Stages of a tally at which the activation itself ends, so that nothing is lost there."""
    on_host: ClassVar[bool] = False
    """True if it is no layer of the chip, but what the host does to its output."""
    equation: ClassVar[str] = ""
    """The arithmetic in one line, in the names of the registers."""
    label: ClassVar[str | None] = None
    """Type shown in summaries where it differs from the class name."""

    @property
    def type_label(self) -> str:
        """Type as the vendor's summaries print it."""
        return self.label or type(self).__name__

    @property
    def output_shape(self) -> Shape:
        """Height, width and channels of the output."""
        raise NotImplementedError

    @property
    def input_range(self) -> tuple[int, int] | None:
        """Smallest and largest integer that may enter; None: what the program's input type holds.

        Beyond it the layer means nothing: a program refuses such inputs before it runs.
        """
        return None

    @property
    def float_bounds(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Smallest and largest float of each channel that the registers represent.

        None for a layer that reads integers.
        """
        return None

    def values_at(self, stage: str) -> int:
        """Return how many values one input has where `stage` of a tally counts."""
        if stage.startswith("input"):
            return sum(map(math.prod, self.input_shapes))
        return math.prod(self.output_shape)

    def output_width(self, *inputs: tuple[int, bool] | None) -> tuple[int, bool] | None:
        """Return an output value's bits and whether they hold a sign, given those of the inputs.

        None where no register says.
        """
        return None

    @property
    def kernel_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Kernel shapes as summaries print them, one line each; empty without weights."""
        return ()

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations for one input."""
        return 0

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights at their register width, rounded up; biases and scales not counted."""
        return 0

    def run(self, *inputs: np.ndarray, tally: Tally | None = None) -> np.ndarray:
        """Compute the output.

        Parameters
        ----------
        *inputs : int32 arrays of shape (n, height, width, channels)
        tally : function (stage, count), optional
            Told how many values saturated at each stage.
        """
        raise NotImplementedError

    def check(self) -> Iterator[str]:
        """Yield a sentence for every register that makes the layer meaningless."""
        yield from ()

    def saturated_constants(self) -> Mapping[str, int]:
        """Return how many channels saturate for an input of zeros, by stage of a tally."""
        return {}

    def facts(self, followers: tuple[str, ...] | None = None) -> LayerFacts:
        """Return what the chip's limits look at.

        Parameters
        ----------
        followers : tuple of str, optional
            Kinds of the layers that read this one; None if that is not known.
        """
        return LayerFacts(
            name=self.name,
            kind=type(self).__name__,
            input_shape=self.input_shapes[0],
            followers=followers,
            **self.traits(),
        )

    def traits(self) -> dict:
        """Return the fields of `LayerFacts` that registers decide."""
        return {"shape": self.output_shape}
