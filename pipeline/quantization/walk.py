"""Build an integer model node by node: the nodes so far, and helpers that finish a node."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.errors import IncompatibleModelError, ModelError
from pipeline.graph.node import Node
from pipeline.quantization.calibrated_graph import CalibratedGraph, NodeQuantization
from pipeline.quantization.fixed_point import max_frac_bits, quantize_scales
from pipeline.quantization.quantized_graph import Format, QuantizedNode
from pipeline.quantization.saturation import Accumulators, Sum
from simulator.refusal import Refusal

ONE = np.float32(1)


def align(given: Format) -> tuple[np.ndarray | None, Format]:
    """Return the left shift that aligns all channels to one scale, and the format after it."""
    if given.frac_bits.ndim == 0:
        return None, given
    shift = given.frac_bits.max() - given.frac_bits
    return shift.astype(np.uint8), replace(given, frac_bits=given.frac_bits.max())


class Walk:
    """The integer nodes and formats built so far."""

    def __init__(self, calibrated: CalibratedGraph, rules):
        self.rules = rules
        self.calibrated = calibrated
        self.graph = calibrated.graph
        self.shapes = calibrated.graph.shapes
        self.nodes: list[QuantizedNode] = []
        self.formats: dict[str, Format] = {}
        self.feeds: dict[str, str] = {}
        self.accumulators = Accumulators()

    def add(self, node: Node) -> None:
        """Compute the integers of one node."""
        rule = self.rules.get(node.op)
        if rule is None:
            known = ", ".join(sorted(self.rules))
            raise self.refused(node, f"{node.op} has no integer arithmetic", known)
        rule(self, node, self.calibrated.nodes.get(node.name, NodeQuantization()))

    def refused(self, node: Node, found: str, allowed: str = "", fix: str = ""):
        """Return the error for a node that cannot be quantized."""
        refusal = Refusal(layers=(node.name,), found=found, allowed=allowed, fix=fix)
        return IncompatibleModelError(self.graph.name, [refusal], "quantize")

    def source(self, node: Node, position: int = 0) -> Format:
        """Return the format of one input."""
        return self.formats[node.inputs[position]]

    def emit(
        self, node: Node, registers: dict, bits: dict, given: Format, sums=None, rate=None, **attrs
    ) -> None:
        """Append the integer form of `node`, whose output has the format `given`."""
        self.nodes.append(
            QuantizedNode(
                name=node.name,
                op=node.op,
                inputs=tuple(self.feeds.get(name, name) for name in node.inputs),
                attrs={**node.attrs, **attrs},
                registers={key: value for key, value in registers.items() if value is not None},
                bits=bits,
                format=given,
                shape=self.shapes[node.name],
                sums=sums,
                rate=rate,
            )
        )
        self.formats[node.name] = given

    def finish(self, node: Node, settings, registers, bits, accumulator: Format, **attrs) -> None:
        """Append a computing node; requantize its accumulator if it has an output quantizer."""
        quantizer = settings.output
        self.accumulators.sums[node.name] = self._sum(accumulator)
        if quantizer is None:
            self.emit(node, registers, bits, accumulator, **attrs)
            return
        channels = self.shapes[node.name][-1]
        value_bits = quantizer.bits - quantizer.signed
        frac_bits = max_frac_bits(value_bits, quantizer.range_max)
        shift = frac_bits - accumulator.frac_bits
        if accumulator.scales is not None:
            scales = np.asarray(accumulator.scales * quantizer.rescaling_rate, np.float32)
            mantissa, scale_frac_bits = quantize_scales(scales, quantizer.scale_bits)
            shift = shift - scale_frac_bits
            self.accumulators.count(node.name, scales, quantizer.scale_bits, -scale_frac_bits)
            self.accumulators.sums[node.name] = self._sum(
                accumulator, mantissa, quantizer.buffer_bits
            )
            narrow = np.uint8 if quantizer.scale_bits <= 8 else np.uint16
            registers["output_scales"] = per_channel(mantissa, channels, narrow)
        registers["output_shift"] = per_channel(shift, channels, np.int8)
        bits |= {
            "output": quantizer.bits,
            "output_signed": int(quantizer.signed),
            "post_op_buffer": quantizer.buffer_bits,
        }
        output = Format(value_bits=value_bits, frac_bits=np.asarray(frac_bits))
        rate = np.asarray(quantizer.rescaling_rate, np.float32)
        rate = None if np.all(rate == 1) else rate
        self.emit(node, registers, bits, output, sums=accumulator, rate=rate, **attrs)

    def _sum(self, given: Format, scales=None, product_bits: int = 32) -> Sum:
        unit = 1.0 if given.scales is None else np.asarray(given.scales, np.float64)
        unit = unit * np.exp2(-np.asarray(given.frac_bits, np.float64))
        return Sum(unit=unit, value_bits=given.value_bits, scales=scales, product_bits=product_bits)

    def dequantize(self) -> str:
        """Append the Dequantizers that end the model, join several, and return the last name."""
        last = self.graph.node(self.graph.output)
        if last.op != "Outputs":
            return self._dequantizer(last.name)
        inputs = tuple(map(self._dequantizer, last.inputs))
        # Floats have no format; a Dequantizer has that of its integers, too.
        given, shape = self.formats[last.inputs[0]], self.shapes[last.name]
        self.nodes.append(
            QuantizedNode(
                name=last.name,
                op=last.op,
                inputs=inputs,
                attrs={"names": last.inputs},
                format=given,
                shape=shape,
            )
        )
        return last.name

    def _dequantizer(self, source: str) -> str:
        given, shape = self.formats[source], self.shapes[source]
        scales = np.float32(1) if given.scales is None else given.scales
        # Powers of two do not change mantissas, so the order of the factors is irrelevant.
        values = scales * np.exp2(-given.frac_bits.astype(np.float64)).astype(np.float32)
        taken = {node.name for node in self.nodes}
        name = base = self.graph.fresh_name("dequantizer")
        number = 1
        while name in taken:
            name, number = self.graph.fresh_name(f"{base}_{number}"), number + 1
        self.nodes.append(
            QuantizedNode(
                name=name,
                op="Dequantizer",
                inputs=(self.feeds.get(source, source),),
                registers={"scales": per_channel(values, shape[-1], np.float32)},
                format=given,
                shape=shape,
            )
        )
        return name


def per_channel(values, channels: int, dtype) -> np.ndarray:
    """Broadcast to one value per channel in a register's dtype; raise if a value does not fit."""
    array = np.broadcast_to(values, (channels,))
    narrow = array.astype(dtype)
    if np.issubdtype(dtype, np.integer) and not np.array_equal(narrow, array):
        raise ModelError(
            f"a register of type {np.dtype(dtype).name} cannot hold {array.min()}..{array.max()};"
            " the model's ranges are too far apart: check for exploding weights"
        )
    return narrow
