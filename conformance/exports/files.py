"""Models in files, where they are at hand: quantized ones, and trained ones of other authors."""

from __future__ import annotations

import itertools
from functools import partial
from pathlib import Path

import numpy as np

from conformance.exports.case import Case, Make, in_range
from pipeline.chips.akida_v2 import CHIP
from pipeline.config.sections import Quantization
from pipeline.importers import load_model
from pipeline.migration.migrate import migrate
from pipeline.models.file import read_float
from pipeline.quantization.integers import integers
from pipeline.quantization.quantize import quantize

SHARED = Path(__file__).resolve().parents[3] / "shared"
WIDTHS = ((8, 8, 8), (8, 4, 4), (4, 4, 4))
COMPARED = 4
"""Images of a trained model that are compared."""


def given_models(scheme: str) -> dict[str, Make]:
    """Return how to read the reference files of a scheme, by name."""
    paths = sorted(SHARED.glob(f"golden/{scheme}-*/model.h5"))
    return {path.parent.name: partial(_given, path) for path in paths}


def _given(path) -> Case:
    return Case(integers(load_model(path)), np.load(path.with_name("inputs.npy")))


def field_models() -> dict[str, Make]:
    """Return how to migrate and quantize trained models, refined and not, by name."""
    made = itertools.product(
        sorted(SHARED.glob("field/*/model.h5")), WIDTHS, (False, True), ("none", "layers")
    )
    return {
        f"{path.parent.name} {'/'.join(map(str, bits))} {'tensor' if per_tensor else 'axis'}"
        f"{' refined' if refine == 'layers' else ''}": partial(
            _migrated, path, bits, per_tensor, refine
        )
        for path, bits, per_tensor, refine in made
    }


def _migrated(path, bits, per_tensor, refine) -> Case:
    images = np.load(path.with_name("inputs.npy"))
    moved = migrate(read_float(path), CHIP.name, images)
    options = Quantization(
        input_weight_bits=bits[0],
        weight_bits=bits[1],
        activation_bits=bits[2],
        per_tensor_activations=per_tensor,
        refine=refine,
    )
    images = moved.feeding(images)
    quantized = quantize(moved.after, images, options)
    return Case(quantized, in_range(quantized, images[:COMPARED]))
