"""A prepared float graph with the bit widths and ranges of its quantizers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from pipeline.errors import ModelError
from pipeline.graph.graph import Graph
from pipeline.messages.notes import Note


@dataclass(frozen=True, eq=False, kw_only=True)
class OutputQuantizer:
    """Quantizer of a layer's output, with a power-of-two scale that covers `range_max`.

    Bit widths and axes are assigned first; calibration adds the range and the rescaling rate.

    Attributes
    ----------
    bits : int
        Output width, sign included when `signed`.
    signed : bool
        Signedness of the integer type; an 8-bit signed ReLU output uses 0..127.
    per_tensor : bool
        One range for the tensor, or one per channel (last axis).
    range_max : float32 array of shape () or (channels,), or None
        Largest magnitude to represent, in float units; None before calibration.
    rescaling_rate : float32 array of shape () or (channels,)
        Factor moved from this output into the next layer's kernel by cross-layer equalization.
    scale_bits, buffer_bits : int
        Bit widths of the output scale register and of the product before its shift.
    """

    bits: int
    signed: bool = True
    per_tensor: bool
    range_max: np.ndarray | None = None
    rescaling_rate: np.ndarray = field(default_factory=lambda: np.float32(1))
    scale_bits: int = 8
    buffer_bits: int = 32


@dataclass(frozen=True, eq=False, kw_only=True)
class InputQuantizer:
    """Quantizer of float inputs: a power-of-two scale and an optional zero point.

    Attributes
    ----------
    bits : int
    signed, per_tensor : bool
    range_min, range_max : float32 array of shape () or (channels,), or None
        None before calibration.
    clip_at_zero : bool
        True: unsigned outputs are clipped at 0, as on the chip; False: as in QuantizeML.
    """

    bits: int = 8
    signed: bool = False
    per_tensor: bool
    range_min: np.ndarray | None = None
    range_max: np.ndarray | None = None
    clip_at_zero: bool = True


@dataclass(frozen=True, eq=False, kw_only=True)
class NodeQuantization:
    """Bit widths and quantizers of one node.

    Attributes
    ----------
    weight_bits : int or None
        Bit width of the kernel, sign included; None without a kernel.
    buffer_bits : int
        Bit width of the accumulator, sign included (28 for convolutions and dense layers, else 32).
    output : OutputQuantizer or None
        None if the accumulator is not requantized.
    lut_bits : int or None
        Bit width of a look-up table's values, sign included.
    padding_value : float32 array of shape (1,) or (channels,) or None
        Value of "same" padding, in units of the layer's float input; None is zero.
    weight_scales : float32 array of shape (filters,), depthwise (channels,), or None
        Value of one step of the kernel's integers (of a SeparableConv2D, the pointwise kernel's);
        None takes the largest weight of each filter for the largest integer. A kernel whose
        filters do not reach that integer keeps its own integers only with the scales given.
    """

    weight_bits: int | None = None
    buffer_bits: int = 32
    output: OutputQuantizer | None = None
    lut_bits: int | None = None
    padding_value: np.ndarray | None = None
    weight_scales: np.ndarray | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class CalibratedGraph:
    """A calibrated graph, from which integers are computed.

    Attributes
    ----------
    graph : Graph
        Prepared float graph (batch norms folded, activations split...), kernels already
        equalized. Layers after the last quantized one (a final softmax) are not in it.
    nodes : mapping of str to NodeQuantization
        One entry for every node that computes; absent for Flatten, Reshape, Dropout...
    input : InputQuantizer or None
        For float inputs; None for integer images.
    flatten_saturates : bool
        True: channels are aligned *before* flattening, within the output's bit width, and saturate
        there, as in QuantizeML. False: the dense layer's input shift aligns them.
    notes : tuple of Note
        Notes for the user (ignored layers, differences from hardware).
    float_tail : tuple of (str, str, mapping)
        Name, operation and attributes of the float layers after the last quantized one, in order.
        They are not in `graph`; the host computes them.
    """

    graph: Graph
    nodes: Mapping[str, NodeQuantization]
    input: InputQuantizer | None = None
    flatten_saturates: bool = False
    notes: tuple[Note, ...] = ()
    float_tail: tuple[tuple[str, str, Mapping], ...] = ()

    def __post_init__(self):
        """Raise if a quantizer has no range.

        Raises
        ------
        ModelError
        """
        missing = [
            name
            for name, node in self.nodes.items()
            if node.output is not None and node.output.range_max is None
        ]
        if missing:
            raise ModelError(f"{missing[0]}: its output quantizer has no range; calibrate first")
