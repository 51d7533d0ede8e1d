"""Fit steps and thresholds into Akida 1.0's registers, as the vendor's converter does.

The converter (cnn2snn, Apache-2.0) always does this, and the outputs then differ from the quantized
model's: a smaller step saturates earlier. Here it is optional (``target.fit_registers``), and each
change is reported in a note.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from simulator import Program
from simulator.akida_v1 import FullyConnected, InputConvolutional, InputData
from simulator.akida_v1.limits import REGISTERS


def fit_registers(program: Program) -> Program:
    """Return a program whose steps and thresholds fit, and a note for each change.

    A step above its limit is set to the limit; the threshold moves by half the difference, and the
    next layer's weights are multiplied by the ratio of the steps, rounded down. A threshold above
    its limit is clipped. The last layer has no limits, but loses the fraction that its threshold's
    register cannot hold.
    """
    layers, notes = list(program.layers), []
    last = layers[-1]
    if getattr(last, "threshold_fraction", None) is not None:
        layers[-1] = replace(last, threshold_fraction=None)
    neural = [n for n, layer in enumerate(layers) if not isinstance(layer, InputData)]
    for position, following in itertools.pairwise(neural):
        layer = layers[position]
        step_bits, threshold_bits = REGISTERS[isinstance(layer, InputConvolutional)]
        limit = np.float32((1 << step_bits) - 1)
        if (layer.act_step > limit).any():
            ratio = np.maximum(layer.act_step / limit, 1)
            step = np.minimum(layer.act_step, limit)
            moved = np.rint(0.5 * (step - layer.act_step)) / 2.0 ** (layer.act_bits - 4)
            threshold = (layer.threshold + moved).astype(np.int32)
            layer = replace(layer, act_step=step, threshold=threshold)
            layers[following] = _with_scaled_weights(layers[following], ratio)
            notes.append(
                f"{layer.name}: act_step of {int((ratio > 1).sum())} filters exceeded"
                f" {int(limit)}; set to it, and the weights of {layers[following].name} shrunk"
            )
        highest = (1 << threshold_bits) - 1
        if (np.abs(layer.threshold.astype(np.int64)) > highest).any():
            clipped = np.clip(layer.threshold, -highest, highest)
            notes.append(
                f"{layer.name}: {int((clipped != layer.threshold).sum())} thresholds exceeded"
                f" {highest} and were clipped; outputs change"
            )
            layer = replace(layer, threshold=clipped)
        layers[position] = layer
    return replace(program, layers=tuple(layers), notes=(*program.notes, *notes))


def _with_scaled_weights(layer, ratio: np.ndarray):
    """Return a layer whose weights are divided by one ratio per input channel, rounded down."""
    weights = layer.weights.astype(np.float64)
    if isinstance(layer, FullyConnected):
        height, width, _ = layer.input_shapes[0]
        # Inputs are column-major: the positions of one channel are contiguous.
        divisor = np.repeat(ratio, height * width)[:, None]
    else:
        divisor = ratio[:, None]
    shrunk = np.floor(weights / divisor).astype(np.int8)
    return replace(layer, weights=shrunk)
