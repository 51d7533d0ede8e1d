"""Export models quantized by the scheme of Akida 2.0 for BrainChip's tool chain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.chips import convert
from pipeline.errors import IncompatibleModelError, ModelError
from pipeline.exporters.names import renamed_for_keras
from pipeline.exporters.quantizeml_h5 import save_quantizeml_h5
from pipeline.formats.quantizeml.layers import LAYERS
from pipeline.graph.keras_io import keras_names
from pipeline.graph.traits import RESHAPES
from pipeline.messages.notes import EXPORTED, WARNING, Note
from pipeline.messages.settings import setting
from pipeline.quantization.calibrated_graph import CalibratedGraph
from pipeline.quantization.floats import ADDED, restore
from pipeline.quantization.floats.flattening import (
    with_aligning_flattens,
    without_unaligned_flatten,
)
from pipeline.quantization.floats.maps import with_maps
from pipeline.quantization.integerize import integerize
from pipeline.quantization.quantized_graph import QuantizedGraph
from pipeline.quantization.samples import random_samples
from simulator import Program, simulate
from simulator.refusal import Refusal

INPUTS = ("uint8", "int8", "float32")
"""Types of inputs that QuantizeML has."""
TARGET = "akida_v2"
SAMPLES, SEED = 8, 0
"""Random images on which an equivalent form is compared with the model."""


def export_quantizeml(path: str | Path, quantized: QuantizedGraph) -> tuple[Note, ...]:
    """Write an integer model as a file that ``quantizeml.load_model`` reads, atomically.

    Parameters
    ----------
    path : str or Path
    quantized : QuantizedGraph
        Of the scheme quantizeml.

    Returns
    -------
    tuple of Note
        On layers that the file holds in an equivalent form.

    Raises
    ------
    IncompatibleModelError
        If the format cannot hold the integers; names the layers.
    """
    refusals = list(_obstacles(quantized))
    if refusals:
        raise IncompatibleModelError(quantized.name, refusals, "write QuantizeML's .h5")
    written = with_maps(without_unaligned_flatten(quantized))
    calibrated = _renamed(restore(with_aligning_flattens(written)))
    notes = written.notes[len(quantized.notes) :]
    if written is not quantized:
        programs = tuple(convert(model, TARGET) for model in (quantized, integerize(calibrated)))
        _check_outputs(quantized, *programs)
        notes = (*notes, *_beyond_chip(*programs))
    save_quantizeml_h5(path, calibrated)
    return (*notes, *_lost_alignments(written))


def _obstacles(quantized: QuantizedGraph) -> Iterator[Refusal]:
    dtype = quantized.input.attrs["dtype"]
    if dtype not in INPUTS:
        yield Refusal(
            layers=(quantized.input.name,), found=f"{dtype} inputs", allowed=", ".join(INPUTS)
        )
    if len(ends := quantized.ends) > 1:
        names = tuple(quantized.producers(end)[0].name for end in ends)
        yield Refusal(
            layers=names,
            found=f"{len(ends)} outputs",
            allowed="one in QuantizeML",
            fix=f"use onnx, or end the model at one of them: {setting('model.until', names[0])}",
        )
    for node in quantized.nodes:
        if node.op not in (*LAYERS, *ADDED, "Input", "Outputs"):
            yield Refusal(layers=(node.name,), found=node.op, allowed=", ".join(LAYERS))


def _renamed(calibrated: CalibratedGraph) -> CalibratedGraph:
    """Return the graph with names that Keras 2 accepts."""
    names = keras_names(calibrated.graph, 2)
    nodes = {names[name]: node for name, node in calibrated.nodes.items()}
    return replace(calibrated, graph=renamed_for_keras(calibrated.graph, 2), nodes=nodes)


def _check_outputs(quantized: QuantizedGraph, *programs: Program) -> None:
    """Raise unless both programs have the same outputs on random images."""
    images = _images(quantized)
    wanted, found = (simulate(program, images).ravel() for program in programs)
    if not np.array_equal(wanted, found):
        different = np.count_nonzero(wanted != found)
        raise ModelError(
            f"{quantized.name}: the equivalent form for QuantizeML differs in {different:,} of"
            f" {wanted.size:,} outputs; this is a fault of crossgrade, please report it"
        )


def _lost_alignments(quantized: QuantizedGraph) -> Iterator[Note]:
    """Yield a warning for each Flatten that aligns channels: the vendor's converter drops that."""
    for node in quantized.nodes:
        if node.op in RESHAPES and np.any(node.registers.get("input_shift", 0)):
            option = setting("quantization.per_tensor_activations", True)
            text = (
                f"{node.name}: aligns channels of different scales, which QuantizeML computes and"
                f" cnn2snn 2.19 does not carry to the chip; quantize with {option}"
            )
            yield Note(kind=EXPORTED, level=WARNING, layers=(node.name,), text=text)


def _beyond_chip(before: Program, after: Program) -> Iterator[Note]:
    """Yield a warning for each layer whose form exceeds limits that the model's own does not."""
    known = {(refusal.layers, refusal.rule) for refusal in before.exceeded()}
    found: dict[tuple[str, ...], list[str]] = {}
    for refusal in after.exceeded():
        if (refusal.layers, refusal.rule) not in known:
            found.setdefault(refusal.layers, []).append(refusal.found)
    for layers, parts in found.items():
        text = f"{', '.join(layers)}: in this form beyond the chip's limits: {', '.join(parts)}"
        yield Note(kind=EXPORTED, level=WARNING, layers=layers, text=text)


def _images(quantized: QuantizedGraph) -> np.ndarray:
    return random_samples(quantized, SAMPLES, np.random.default_rng(SEED))
