"""Registers of Akida 1.0's neurons whose potentials cannot reach them: dead filters, huge biases.

The weights of a dead filter are quantized at the smallest scale, which makes its step huge; a huge
bias makes a huge threshold. Where the potentials can reach at most two levels, smaller registers
give the same levels.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.messages.settings import setting
from pipeline.quantization.quantized_graph import QuantizedNode
from simulator.refusal import Refusal

LARGEST_STEP = 1 << 24
"""Largest `act_step` whose levels are exact in float64 (see `NeuralLayer.levels`)."""
LARGEST_THRESHOLD = 1 << 27
"""A threshold of this magnitude is replaced: the emulator refuses potentials 2**28 from it."""


def reach(head: QuantizedNode, highest: int, pixels: int) -> np.ndarray:
    """Return a bound on the magnitude of a layer's potentials, float64 (filters,).

    Parameters
    ----------
    highest : int
        Largest input: 255 of an image, or the highest level.
    pixels : int
        Number of positions that pooling sums.
    """
    registers = head.registers
    if "pointwise_kernel" in registers:
        planes = _magnitude(registers["depthwise_kernel"]).sum(axis=(0, 1))[:, 0]
        total = planes @ _magnitude(registers["pointwise_kernel"])[0, 0]
    else:
        kernel = _magnitude(registers["kernel"])
        total = kernel.sum(axis=tuple(range(kernel.ndim - 1)))
    return total * highest * pixels


def reachable_registers(
    threshold: np.ndarray, act_step: np.ndarray, bits: int, bound: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return equivalent thresholds and steps, smaller where they were too large.

    Parameters
    ----------
    threshold : float64 (filters,)
        Integer-valued.
    act_step : float32 (filters,)
    bits : int
        Bit width of the levels.
    bound : float64 (filters,)
        Bound on the magnitude of the potentials, from `reach`.

    Returns
    -------
    threshold : float64 (filters,)
    act_step : float32 (filters,)
        Unchanged where neither is too large, or where more than two levels can be reached.
    """
    interval = act_step.astype(np.float64) * 2.0 ** (4 - bits)
    low, high = (
        np.clip(np.ceil((end - threshold) / interval), 0, 2**bits - 1) for end in (-bound, bound)
    )
    # Potentials are integers: those above this one, if any, have level `high`.
    edge = np.clip(np.floor(threshold + low * interval), -bound, bound)
    wide = np.exp2(np.ceil(np.log2(2 * bound + 2)))
    large = (act_step > LARGEST_STEP) | (np.abs(threshold) >= LARGEST_THRESHOLD)
    replaced = large & (high - low <= 1)
    return (
        np.where(replaced, edge - low * wide, threshold),
        np.where(replaced, wide * 2.0 ** (bits - 4), act_step).astype(np.float32),
    )


def _magnitude(kernel: np.ndarray) -> np.ndarray:
    return np.abs(kernel.astype(np.float64))


def beyond(
    layer: str, threshold: np.ndarray, act_step: np.ndarray, *, activation: bool
) -> Iterator[Refusal]:
    """Yield why no register holds a layer's thresholds and steps, arrays of shape (filters,).

    Steps of a layer without activation divide floats on the host, whatever their size.
    """
    largest = float(np.abs(threshold).max())
    if not largest < 1 << 31:
        yield Refusal(
            layers=(layer,),
            found=f"thresholds up to {largest:.3g}",
            allowed="32 bits",
            fix="look for exploding weights, or a filter whose weights are nearly 0",
            rule="threshold_range",
        )
    largest = float(act_step.max())
    if activation and not largest <= LARGEST_STEP:
        yield Refusal(
            layers=(layer,),
            found=f"act_step reaches {largest:.6g}",
            allowed=f"at most 2**24 = {LARGEST_STEP:,}",
            fix=f"refine the model ({setting('quantization.refine', 'layers')}, with calibration"
            " images), which keeps registers small, or give the layer's weights fewer bits"
            f" ({setting('quantization.layers')})",
            rule="step_range",
        )
