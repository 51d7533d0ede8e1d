"""Compare a cnn2snn-quantized model with its Akida 1.0 program, level by level.

``python -m conformance.legacy MODEL.h5 IMAGES.npy [--expected OUTPUTS.npy]``

The chip has integer thresholds and padding values; the float model has real ones. The levels that
differ for this reason are counted layer by layer: in the chain (each layer reads the program's
inputs) and alone (each reads the float model's). With real thresholds and padding none may differ.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

import numpy as np

from pipeline.chips import convert
from pipeline.chips.akida_v1.lowering import chain_neurons
from pipeline.chips.akida_v1.neuron import Neuron
from pipeline.chips.blocks import View
from pipeline.data.array_file import load_array
from pipeline.errors import CrossgradeError, DataError, ModelError
from pipeline.graph.forward import forward
from pipeline.importers import load_model
from pipeline.quantization.integerize_legacy import integerize_legacy
from pipeline.quantization.legacy_graph import LegacyGraph
from simulator import ProgramError, simulate
from simulator.akida_v1 import InputConvolutional
from simulator.kernels import conv2d
from simulator.windows import pad, sliding

ALLOWED = 5e-4
"""Largest share of a layer's levels that rounded thresholds and padding may change."""
NEAR = 1e-5
"""Largest difference of final outputs without rounding, relative to the largest output."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Comparison of one layer's levels.

    Attributes
    ----------
    layer : str
    values : int
        Number of compared levels.
    chain, alone : int
        Number of levels that differ from the float model's, if the layer reads the program's
        inputs, or the float model's.
    largest : int
        Largest difference between two levels, alone.
    exact : int
        Number of levels that differ alone, with real-valued threshold and padding.
    """

    layer: str
    values: int
    chain: int
    alone: int
    largest: int
    exact: int

    @property
    def good(self) -> bool:
        """True if rounding explains all differences, and they are few and small."""
        return self.exact == 0 and self.largest <= 1 and self.alone <= ALLOWED * self.values


@dataclass(frozen=True, eq=False, kw_only=True)
class Outputs:
    """Final outputs of a model, arrays of shape (n, ...).

    Attributes
    ----------
    floats : float32 array
        Outputs of the float model with fake-quantized weights.
    chain : float32 array
        Outputs of the program.
    alone, exact : float32 or int32 array
        Outputs of its last layer on the float model's inputs; of that layer without rounding.
        Levels, if it has an activation.
    """

    floats: np.ndarray
    chain: np.ndarray
    alone: np.ndarray
    exact: np.ndarray


def compare(model: LegacyGraph, images: np.ndarray) -> tuple[list[Row], Outputs]:
    """Run both models; return a row per layer that outputs levels, and the final outputs.

    Parameters
    ----------
    model : LegacyGraph
    images : uint8 array of shape (n, height, width, channels)

    Returns
    -------
    rows : list of Row
    outputs : Outputs
    """
    quantized = integerize_legacy(model)
    program = convert(quantized, "akida_v1")
    reference, levels, rows = {}, {}, []
    floats = forward(model.fake_quantized(), images, probe=_keep(reference))
    simulated = simulate(program, images, probe=lambda layer, x: _keep(levels)(layer.name, x))
    levels = _joined(levels)
    reference = _joined(reference)
    fed = images.astype(np.int32)
    for block, neuron in zip(
        View(quantized, quantized).blocks, chain_neurons(quantized), strict=True
    ):
        relu, layer = block.member("ReLU"), program.by_name[block.head.name]
        fed = fed.reshape(len(images), *layer.input_shapes[0])
        alone, exact = layer.run(fed), exact_outputs(layer, neuron, fed)
        if relu is None:
            break
        shape = (len(images), *layer.output_shape)
        step = relu.registers["step"].astype(np.float64)
        wanted = np.rint(reference[block.last.name] / step).astype(np.int32).reshape(shape)
        rows.append(
            Row(
                layer=layer.name,
                values=wanted.size,
                chain=int(np.sum(levels[layer.name] != wanted)),
                alone=int(np.sum(alone != wanted)),
                largest=int(np.abs(alone - wanted).max()),
                exact=int(np.sum(exact != wanted)),
            )
        )
        fed = wanted
    return rows, Outputs(floats=floats, chain=simulated, alone=alone, exact=exact)


def exact_outputs(layer, neuron: Neuron, x: np.ndarray) -> np.ndarray:
    """Return the output of a layer without rounding its threshold and padding."""
    potentials = layer.potentials(x).astype(np.float64)
    if isinstance(layer, InputConvolutional):
        window = (layer.weights, layer.kernel_stride, layer.padding)
        # Sums are linear in the padding value: add the effect of 1 times the missing fraction.
        border = conv2d(np.zeros_like(x[:1]), *window, 1)
        potentials += border * (neuron.padding_value - layer.padding_value)
    if layer.pool_type == "max":
        window = (layer.pool_size, layer.pool_stride)
        padded = pad(potentials, *window, layer.padding, -np.inf)
        potentials = sliding(padded, *window).max(axis=(3, 4))
    elif layer.pool_type == "average":
        potentials = potentials.sum(axis=(1, 2), keepdims=True)
    above = potentials - neuron.threshold
    step = neuron.act_step.astype(np.float64)
    if not neuron.activation:
        return above / step
    levels = np.ceil(above / (step * 2.0 ** (4 - neuron.act_bits)))
    return np.clip(levels, 0, 2**neuron.act_bits - 1).astype(np.int32)


def _keep(store):
    return lambda name, values: store.setdefault(name, []).append(values)


def _joined(store):
    return {name: np.concatenate(parts) for name, parts in store.items()}


def softmax(x: np.ndarray) -> np.ndarray:
    """Return the softmax over the last axis."""
    shares = np.exp(x - x.max(axis=-1, keepdims=True))
    return shares / shares.sum(axis=-1, keepdims=True)


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference of two arrays, relative to the largest expected value."""
    found = found.reshape(expected.shape)
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30))


def table(rows: list[Row]) -> str:
    """Format the rows as a table."""
    head = ("layer", "levels", "chain", "alone", "share", "unrounded", "")
    cells = [
        (
            row.layer,
            str(row.values),
            str(row.chain),
            str(row.alone),
            f"{row.alone / row.values:.1e}",
            str(row.exact),
            "" if row.good else "<- differs",
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if n in (0, 6) else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (head, *cells)
    )


def main(arguments=None) -> int:
    """Print the comparison and return the exit code: 1 if rounding does not explain it."""
    parser = argparse.ArgumentParser(prog="python -m conformance.legacy", description=__doc__)
    parser.add_argument("model", help=".h5 file quantized by cnn2snn")
    parser.add_argument("images", help=".npy file, uint8 NHWC")
    parser.add_argument("--expected", help=".npy file with the training framework's outputs")
    options = parser.parse_args(arguments)
    try:
        model = load_model(options.model)
        if not isinstance(model, LegacyGraph):
            raise ModelError(f"{options.model}: not quantized by cnn2snn; give such a .h5 file")
        rows, outputs = compare(model, load_array(options.images))
        expected = outputs.floats if options.expected is None else load_array(options.expected)
        if outputs.floats.shape != expected.shape:
            raise DataError(
                f"{options.expected}: shape {expected.shape}; needs {outputs.floats.shape}"
            )
    except (CrossgradeError, ProgramError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(table(rows))
    levels = outputs.chain.dtype.kind != "f"
    with_softmax = any("final softmax is left out" in note.text for note in model.notes)
    errors = {}
    for name in ("chain", "alone", "exact", "floats"):
        output = getattr(outputs, name)
        if levels and name != "floats":
            continue
        if with_softmax and options.expected:
            output = softmax(output.reshape(expected.shape))
        errors[name] = relative(output, expected)
    moved = sum(row.chain for row in rows)
    print(f"{moved} of {sum(row.values for row in rows)} levels differ in the chain")
    if not levels:
        print(
            f"final outputs, relative: chain {errors['chain']:.1e}, alone {errors['alone']:.1e},"
            f" unrounded {errors['exact']:.1e}, float model {errors['floats']:.1e}"
        )
    near = errors["floats"] <= NEAR and errors.get("exact", 0) <= NEAR
    return 0 if near and all(row.good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
