"""Base class of hardware layers: a frozen record of registers with arithmetic and checks."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simulator.facts import LayerFacts
from simulator.integer import Tally

Shape = tuple[int, int, int]


@dataclass(frozen=True, eq=False, kw_only=True)
class Layer(ABC):
    """Layer of a program.

    Attributes
    ----------
    name : str
        Unique in its program.
    inputs : tuple of str
        Names of its input layers; empty for the first layer, which reads the program's input.
    input_shapes : tuple of (height, width, channels)
        One per input (one for the first layer).
    """

    name: str
    inputs: tuple[str, ...]
    input_shapes: tuple[Shape, ...]

    reads_floats: ClassVar[bool] = False
    """True if the inputs are floating-point."""
    gives_floats: ClassVar[bool] = False
    """True if the output is floating-point."""
    clips: ClassVar[tuple[str, ...]] = ()
    """Stages at which clipping is the activation's own upper bound and no loss."""
    on_host: ClassVar[bool] = False
    """True if the host computes it from the chip's output."""
    equation: ClassVar[str] = ""
    """The arithmetic in one line, in terms of the registers."""
    label: ClassVar[str | None] = None
    """Type shown in summaries if it differs from the class name."""

    @property
    def type_label(self) -> str:
        """Type as the vendor's summaries print it."""
        return self.label or type(self).__name__

    @property
    @abstractmethod
    def output_shape(self) -> Shape:
        """Height, width and channels of the output."""

    @property
    def input_range(self) -> tuple[int, int] | None:
        """Smallest and largest allowed input; None allows the range of the program's input dtype.

        The layer is undefined beyond it: `simulate` refuses such inputs.
        """
        return None

    @property
    def float_bounds(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Smallest and largest representable input of each channel, float64 (channels,).

        None for a layer that reads integers.
        """
        return None

    def values_at(self, stage: str) -> int:
        """Return the number of values per image that `stage` of a tally counts."""
        if stage.startswith("input"):
            return sum(map(math.prod, self.input_shapes))
        return math.prod(self.output_shape)

    def output_width(self, *inputs: tuple[int, bool] | None) -> tuple[int, bool] | None:
        """Return (bits, signed) of the output, given those of the inputs; None if unknown.

        Bits include the sign.
        """
        return None

    @property
    def kernel_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Kernel shapes for summaries, one line each; empty without weights."""
        return ()

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations per image."""
        return 0

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights at their register width, rounded up; excludes biases and scales."""
        return 0

    @abstractmethod
    def run(self, *inputs: np.ndarray, tally: Tally | None = None) -> np.ndarray:
        """Compute the output.

        Parameters
        ----------
        *inputs : int32 arrays of shape (n, height, width, channels)
        tally : function (stage, count), optional
            Called with the number of values that saturated at a stage.

        Returns
        -------
        int32 array of shape (n, *output_shape)
            int64 for accumulators, float32 if `gives_floats`.

        Raises
        ------
        OverflowError
            If an accumulator may exceed the range in which the arithmetic is exact.
        """

    def check(self) -> Iterator[str]:
        """Check the registers; yield a sentence for every invalid one."""
        yield from ()

    def saturated_constants(self) -> Mapping[str, int]:
        """Return the number of channels that saturate for an input of zeros, by stage."""
        return {}

    def facts(self, consumers: tuple[str, ...] | None = None) -> LayerFacts:
        """Return the properties that the chip's limits depend on.

        Parameters
        ----------
        consumers : tuple of str, optional
            Kinds of the layers that consume the output; None if unknown.
        """
        return LayerFacts(
            name=self.name,
            kind=type(self).__name__,
            input_shape=self.input_shapes[0],
            consumers=consumers,
            **self.traits(),
        )

    def traits(self) -> dict:
        """Return the fields of `LayerFacts` that follow from registers."""
        return {"shape": self.output_shape}
