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
from pipeline.graph.graph import Graph
from pipeline.graph.keras_io import keras_names
from pipeline.messages.notes import Note
from pipeline.quantization.calibrated_graph import CalibratedGraph
from pipeline.quantization.floats import ADDED, restore
from pipeline.quantization.floats.flattening import (
    with_aligning_flattens,
    without_unaligned_flatten,
)
from pipeline.quantization.integerize import integerize
from pipeline.quantization.quantized_graph import QuantizedGraph
from pipeline.quantization.samples import random_samples
from simulator import simulate
from simulator.refusal import Refusal

INPUTS = ("uint8", "int8", "float32")
"""Types of inputs that QuantizeML has."""
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
    written = without_unaligned_flatten(quantized)
    calibrated = _renamed(restore(with_aligning_flattens(written)))
    if written is not quantized:
        _check_outputs(quantized, calibrated)
    save_quantizeml_h5(path, calibrated)
    return written.notes[len(quantized.notes) :]


def _obstacles(quantized: QuantizedGraph) -> Iterator[Refusal]:
    dtype = quantized.input.attrs["dtype"]
    if dtype not in INPUTS:
        yield Refusal(
            layers=(quantized.input.name,), found=f"{dtype} inputs", allowed=", ".join(INPUTS)
        )
    for node in quantized.nodes:
        if node.op not in (*LAYERS, *ADDED, "Input"):
            yield Refusal(layers=(node.name,), found=node.op, allowed=", ".join(LAYERS))


def _renamed(calibrated: CalibratedGraph) -> CalibratedGraph:
    """Return the graph with names that Keras 2 accepts."""
    names = keras_names(calibrated.graph, 2)
    nodes = {names[name]: node for name, node in calibrated.nodes.items()}
    return replace(calibrated, graph=renamed_for_keras(calibrated.graph, 2), nodes=nodes)


def _check_outputs(quantized: QuantizedGraph, calibrated: CalibratedGraph) -> None:
    """Raise unless both models have the same outputs on random images."""
    images = _images(calibrated.graph)
    programs = (convert(model, "akida_v2") for model in (quantized, integerize(calibrated)))
    wanted, found = (simulate(program, images).ravel() for program in programs)
    if not np.array_equal(wanted, found):
        different = np.count_nonzero(wanted != found)
        raise ModelError(
            f"{quantized.name}: the equivalent form for QuantizeML differs in {different:,} of"
            f" {wanted.size:,} outputs; this is a fault of crossgrade, please report it"
        )


def _images(graph: Graph) -> np.ndarray:
    return random_samples(graph, SAMPLES, np.random.default_rng(SEED))
