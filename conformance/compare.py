"""Compare the emulator with QuantizeML, tensor by tensor.

Every node is run on the integers that QuantizeML feeds it, so that one difference cannot hide or
cause another; then the complete program is run on the images. QuantizeML keeps integers in float32,
which is exact below 2**24 only: a differing value counts as *inexact* if float32 provably cannot
hold it, and as a mismatch otherwise.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np

from conformance.backends import run_backends
from conformance.coverage import combinations
from conformance.float32 import BARE, Float32Rounding, magnitude, ulps
from pipeline.chips import convert
from pipeline.chips.blocks import View
from pipeline.quantization.integerize import integerize
from simulator.akida_v2 import Concatenate, Dequantizer, InputData, Quantizer

ACCUMULATORS = (
    "output_scales",
    "output_shift",
    "output_bits",
    "output_signed",
    "post_op_buffer_bits",
)


@dataclass(eq=False)
class Comparison:
    """Result of comparing one network.

    Attributes
    ----------
    tensors, values : int
        Number of compared integer tensors and integers.
    mismatches, inexact : list of dict
        One per tensor: name, count, the first differing value on both sides, or why.
    formats : list of str
        Nodes whose scale or fractional bits differ.
    ulps : int
        Largest difference of the final floats, in units in the last place.
    covered : Counter
        Compared tensors by layer, weight bits, output bits and axis.
    backends : list of dict
        Differences between backends of the emulator and the reference, see
        `conformance.backends.run_backends`.
    combinations : set of Combination
        Combinations that occur in the program.
    """

    tensors: int = 0
    values: int = 0
    mismatches: list = field(default_factory=list)
    inexact: list = field(default_factory=list)
    formats: list = field(default_factory=list)
    ulps: int = 0
    covered: Counter = field(default_factory=Counter)
    backends: list = field(default_factory=list)
    combinations: set = field(default_factory=set)

    @property
    def passed(self) -> bool:
        """True if only values that float32 cannot hold differ."""
        return not (self.mismatches or self.formats or self.backends) and self.ulps <= 1


def compare(calibrated, trace, images: np.ndarray) -> Comparison:
    """Compare an imported model with QuantizeML's trace of the same model.

    Parameters
    ----------
    calibrated : CalibratedGraph
        From `pipeline.importers.load_model`.
    trace : conformance.oracle.Trace
    images : array
        Images of the trace.

    Raises
    ------
    ModelError
        If the model cannot be converted to a program.
    """
    quantized = integerize(calibrated)
    program = convert(quantized, "akida_v2")
    run = _Run(quantized, program, trace, images)
    run.nodes()
    run.formats()
    run.end_to_end()
    return run.found


class _Run:
    def __init__(self, quantized, program, trace, images):
        self.quantized, self.program = quantized, program
        self.trace, self.images = trace, images
        self.found = Comparison()
        self.names = {node.name: node.name for node in quantized.nodes}
        for layer in trace.layers:
            if type(layer).__name__ == "InputQuantizer":
                quantizer = next(n for n in quantized.nodes if n.op == "Quantizer")
                self.names[quantizer.name] = layer.name

    def theirs(self, node) -> np.ndarray | None:
        tensor = self.trace.tensors.get(self.names[node.name])
        return None if tensor is None else tensor.values

    def nodes(self):
        """Compare each node on the inputs of its QuantizeML counterpart."""
        layers = {layer.name: layer for layer in self.program.layers}
        view = View(self.quantized, self.quantized)
        for head in self.quantized.nodes:
            if head.op == "Input" or head.name not in layers:
                continue
            layer, block, inputs = layers[head.name], view.by_head.get(head.name), []
            for name, shape in zip(head.inputs, layer.input_shapes, strict=True):
                source, _ = view.origin(name)
                given = self.images if source.op == "Input" else self.theirs(source)
                if given.dtype.kind != "f":
                    given = given.astype(np.int64)
                inputs.append(given.reshape(len(given), *shape))
            if isinstance(layer, Dequantizer):
                ours = layer.run(*inputs).reshape(self.trace.outputs.shape)
                self.found.ulps = max(self.found.ulps, ulps(ours, self.trace.outputs))
                continue
            if isinstance(layer, Quantizer | InputData | Concatenate):
                self.check(head, layer.run(*inputs), None)
                self.count_coverage(layer, head, layer)
                continue
            self.chain(block, layer, inputs)

    def chain(self, block, layer, inputs):
        """Compare a layer's head, then each step of its tail."""
        bare = replace(layer, **BARE)
        table = block.member("Activation")
        for node in (block.head, *block.tail):
            fields = {}
            if node is block.head:
                values = bare.run(*inputs)
                if table is not None:
                    fields = {
                        "output_scales": layer.activation_scales,
                        "output_shift": layer.activation_shift,
                        "output_bits": layer.activation_bits,
                        "output_signed": True,
                    }
            elif node.op == "MaxPooling2D":
                fields = {name: getattr(layer, name) for name in ("pool_size", "pool_stride")}
            elif node.op == "ReLU":
                fields = {name: getattr(layer, name) for name in ("max_value", "max_value_shift")}
                fields["activation"] = "relu"
            elif node.op == "Activation":
                fields = {"activation": "lut", "lut_values": layer.lut_values}
            else:
                fields = {"global_pool": True, "global_pool_shift": layer.global_pool_shift}
            if node.op == "ReLU" and layer.max_value is None:
                fields = {"activation": "relu"}
            unscaled = replace(bare, **{k: v for k, v in fields.items() if k not in ACCUMULATORS})
            if "output_shift" in node.registers and "output_shift" not in fields:
                fields |= {name: getattr(layer, name) for name in ACCUMULATORS}
            step = replace(bare, **fields)
            size = magnitude(layer, node, block, inputs, values)
            before = unscaled.finish(values)
            self.check(node, step.finish(values), Float32Rounding(before, step, size))
            self.count_coverage(layer, node, step)
            if node is not block.last:
                shape = (1,) * (3 - len(node.shape)) + tuple(node.shape)
                values = self.theirs(node).reshape(len(inputs[0]), *shape)

    def check(self, node, ours, rounding):
        """Compare our values with QuantizeML's and record differences."""
        theirs = self.theirs(node)
        if theirs is None:
            self.found.mismatches.append({"tensor": node.name, "why": "not in the reference"})
            return
        ours = np.asarray(ours, np.int64).reshape(theirs.shape)
        self.found.tensors += 1
        self.found.values += ours.size
        different = ours != theirs
        if not different.any():
            return
        explained = (
            np.zeros_like(different) if rounding is None else rounding.explains(ours, theirs)
        )
        for where, kind in (
            (different & ~explained, self.found.mismatches),
            (different & explained, self.found.inexact),
        ):
            if where.any():
                first = tuple(int(n) for n in np.argwhere(where)[0])
                kind.append(
                    {
                        "tensor": node.name,
                        "op": node.op,
                        "count": int(where.sum()),
                        "of": int(where.size),
                        "ours": int(ours[first]),
                        "theirs": int(theirs[first]),
                        "at": first,
                    }
                )

    def count_coverage(self, layer, node, step):
        kind = type(layer).__name__ if node.name == layer.name else node.op
        weights = "" if not hasattr(layer, "weight_bits") else f"w{layer.weight_bits}"
        output, axis = "accumulator", ""
        if getattr(step, "output_shift", None) is not None:
            output = f"{'s' if step.output_signed else 'u'}{step.output_bits}"
            axis = "per-tensor" if node.format.frac_bits.ndim == 0 else "per-axis"
        elif isinstance(step, Quantizer | Concatenate):
            output = f"{node.format.value_bits} value bits"
            axis = "per-tensor" if node.format.frac_bits.ndim == 0 else "per-axis"
        self.found.covered[kind, weights, output, axis] += 1

    def formats(self):
        """Compare scales and fractional bits of every node."""
        for node in self.quantized.nodes:
            tensor = self.trace.tensors.get(self.names[node.name])
            if tensor is None or node.op in ("Input", "Dequantizer"):
                continue
            same = np.array_equal(*np.broadcast_arrays(node.format.frac_bits, tensor.frac_bits))
            if node.op == "Flatten" and node.format.frac_bits.ndim:
                same = True
            if (node.format.scales is None) != (tensor.scales is None):
                same = False
            elif same and tensor.scales is not None:
                ours, theirs = np.broadcast_arrays(node.format.scales, tensor.scales)
                same = ulps(ours, theirs) == 0
            if not same:
                self.found.formats.append(f"{node.name} ({node.op})")

    def end_to_end(self):
        """Run the program on every backend; compare the final floats if no value was inexact."""
        self.found.combinations = combinations(self.program)
        outputs, self.found.backends = run_backends(self.program, self.images)
        if not self.found.inexact:
            theirs = self.trace.outputs
            self.found.ulps = max(self.found.ulps, ulps(outputs.reshape(theirs.shape), theirs))
