"""Add: sum of two tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simulator.akida_v2.output_stage import FINISH, OutputStage
from simulator.integer import Tally, saturate, shift_left
from simulator.layer import Shape
from simulator.registers import check_register


@dataclass(frozen=True, eq=False, kw_only=True)
class Add(OutputStage):
    """Element-wise sum of two inputs, aligned by left shifts.

    Attributes
    ----------
    a_shift, b_shift : uint8 (channels,) or None
        Left shifts of the first and the second input.
    buffer_bits : int
        Width of the sum, sign included.
    """

    a_shift: np.ndarray | None = None
    b_shift: np.ndarray | None = None
    buffer_bits: int = 32

    equation: ClassVar[str] = (
        "p = sat(sat(a << a_shift) + sat(b << b_shift)), buffer_bits wide" + FINISH
    )

    @property
    def accumulator_shape(self) -> Shape:
        """Shape of the sum, that of both inputs."""
        return self.input_shapes[0]

    def run(self, a: np.ndarray, b: np.ndarray, *, tally: Tally | None = None) -> np.ndarray:
        """Return the requantized sum of two int32 arrays (n, h, w, channels); see `Layer.run`."""
        value_bits = self.buffer_bits - 1
        total = sum(
            saturate(_aligned(x, shift), value_bits, "input", tally)
            for x, shift in ((a, self.a_shift), (b, self.b_shift))
        )
        return self.finish(saturate(total, value_bits, "accumulator", tally), tally)

    def check(self) -> Iterator[str]:
        """Check that both inputs have one shape and the shifts fit their registers."""
        if len(self.input_shapes) != 2 or self.input_shapes[0] != self.input_shapes[1]:
            yield f"Add takes two inputs of one shape; found {self.input_shapes}"
        channels = (self.input_shapes[0][2],)
        yield from check_register("a_shift", self.a_shift, channels, 0, 32)
        yield from check_register("b_shift", self.b_shift, channels, 0, 32)
        if not 8 <= self.buffer_bits <= 33:
            yield f"buffer_bits is {self.buffer_bits}; allowed: 8 to 33"
        yield from super().check()


def _aligned(x: np.ndarray, shift: np.ndarray | None) -> np.ndarray:
    return shift_left(x.astype(np.int64), 0 if shift is None else shift)
