"""One scale for all channels of a tensor that was quantized with one scale per channel.

An Akida 1.0 layer has one step per filter, but cannot shift its inputs: channels that are summed
must share a scale. Powers of two, which are exact, align all channels of a tensor: one factor per
filter scales its step, and one factor scales the next layer's thresholds and steps. The shared
scale is the coarsest of the channels, so that no channel saturates earlier than before. It is the
finest where a Flatten aligns the channels within their own bit width, as QuantizeML does: there
every channel saturates at the finest channel's range.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.chips.blocks import Block
from pipeline.quantization.quantized_graph import QuantizedNode


@dataclass(frozen=True, eq=False, kw_only=True)
class SharedScale:
    """Scale of a block's output on the chip.

    Attributes
    ----------
    frac_bits : int
        One level is ``2**-frac_bits``.
    steps : float32 array of shape () or (filters,)
        Levels of each channel in the quantized model per level on the chip.
    potential : float
        Potential of the next layer on the chip per unit of its accumulator in the quantized model.
    """

    frac_bits: int
    steps: np.ndarray
    potential: float


def shared_scale(relu: QuantizedNode, following: Block | None) -> SharedScale:
    """Return the scale of a ReLU output whose consumer is the block `following`."""
    own = relu.format.frac_bits
    finest = int(own.max())
    chosen = finest if saturates(following) else int(own.min())
    return SharedScale(
        frac_bits=chosen,
        steps=np.ldexp(np.float32(1), own - chosen),
        potential=2.0 ** (chosen - finest),
    )


def saturates(block: Block | None) -> bool:
    """Return True if a Flatten before a block aligns channels within their own bit width."""
    return block is not None and any(
        np.any(node.registers.get("input_shift", 0)) for node in block.between
    )
