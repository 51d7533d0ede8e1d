"""One scale for all channels of a tensor, where the model was quantized with one per channel.

An Akida 1.0 neuron has a step of its own for each filter, but a layer shifts none of its inputs:
channels that are summed must have one scale. All channels of a tensor are brought to one by powers
of two, which are exact: each filter's step by its own, the next layer's thresholds and steps by
one. That scale is the coarsest of the channels, so that none saturates earlier than before; or the
finest where a Flatten aligns the channels inside their own width, as QuantizeML does, because
there every channel saturates at the finest channel's range.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.chips.blocks import Block
from pipeline.quantization.quantized_graph import QuantizedNode


@dataclass(frozen=True, eq=False, kw_only=True)
class SharedScale:
    """The scale that a block's output has on the chip.

    Attributes
    ----------
    frac_bits : int
        One level is ``2**-frac_bits``.
    steps : float32 array of shape () or (filters,)
        Levels of a channel in the quantized model per level here.
    potential : float
        Potential of the next layer here per unit of its accumulator in the quantized model.
    """

    frac_bits: int
    steps: np.ndarray
    potential: float


def shared_scale(relu: QuantizedNode, following: Block | None) -> SharedScale:
    """Return the scale of a ReLU's output that the block `following` reads."""
    own = relu.format.frac_bits
    finest = int(own.max())
    chosen = finest if saturates(following) else int(own.min())
    return SharedScale(
        frac_bits=chosen,
        steps=np.ldexp(np.float32(1), own - chosen),
        potential=2.0 ** (chosen - finest),
    )


def saturates(block: Block | None) -> bool:
    """Return True if a Flatten before a block aligns channels inside their own width."""
    return block is not None and any(
        np.any(node.registers.get("input_shift", 0)) for node in block.between
    )
