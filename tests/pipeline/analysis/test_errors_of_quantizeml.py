"""Errors of layers, alone and with those before, are those of QuantizeML's analysis."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from conformance.parity import parity_options
from conformance.parity_models import MODELS
from conformance.parity_models import images as pictures
from pipeline.analysis.analysis import analyse
from pipeline.analysis.quantized_blocks import MatchedQuantized
from pipeline.importers import load_model
from pipeline.models.wanted import Wanted
from pipeline.quantization.quantize import quantize

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
GOLDEN = Path(__file__).parents[4] / "shared" / "golden"
MOVING = ("concat", "flatten")
"""Layers that compute nothing, which are none of an analysis."""


def float_model(name):
    """Return a network of the parity tests, or a file beside the repository."""
    if name in MODELS:
        return MODELS[name]()
    path = GOLDEN / name / "model.h5"
    if not path.exists():
        pytest.skip(f"needs {path}")
    return load_model(path, Wanted())


def rounded_by_the_reference(graph, model, theirs, batch):
    """Return layers whose integers the reference rounds, and those that read them.

    A product that saturates is 2**32 - 1, which is no float32: the reference rounds it up.
    """
    import tf_keras

    steps = {step.block.end: step for step in MatchedQuantized(graph, model, each=True).run(batch)}
    outputs = [theirs.get_layer(name).output for name in steps]
    others = tf_keras.Model(theirs.input, outputs)(batch.astype(np.float32))
    found = set()
    for (name, step), other in zip(steps.items(), others, strict=True):
        values = getattr(other, "fp", other).values.numpy()
        if found & set(step.block.inputs) or (
            step.beyond and not np.array_equal(values.reshape(step.out.shape), step.out)
        ):
            found.add(name)
    return found


@pytest.fixture
def measures(monkeypatch):
    """Return QuantizeML's functions."""
    pytest.importorskip("quantizeml")
    # Its analysis imports a package that only its logs need.
    logger = ModuleType("tensorboardX")
    logger.SummaryWriter = None
    monkeypatch.setitem(sys.modules, "tensorboardX", logger)
    from quantizeml.analysis import (
        measure_cumulative_quantization_error,
        measure_layer_quantization_error,
    )

    return {
        "isolated": measure_layer_quantization_error,
        "cumulative": measure_cumulative_quantization_error,
    }


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("ds_cnn", (8, 4, 4)),
        ("residual", (8, 4, 4)),
        ("float-ds_cnn_v1", (8, 8, 8)),
        ("float-ds_cnn_v1", (8, 4, 4)),
        ("float-sepgap_v1", (8, 8, 8)),
        ("float-akidanet25_v1", (8, 4, 4)),
    ],
    ids=str,
)
def test_errors_are_those_of_quantizeml(name, bits, measures):
    from quantizeml.models.random import generate_keras_random_samples

    from conformance import quantizeml_model

    graph = float_model(name)
    settings = parity_options(bits)
    samples = pictures(graph, 10)
    theirs = quantizeml_model.quantize(graph, samples, settings)
    batch = np.asarray(generate_keras_random_samples(theirs, batch_size=4, seed=1))
    batch = batch.astype(np.uint8)
    model = quantize(graph, samples, settings)
    analysis = analyse(graph, model, batch, each=True)
    mine = {layer.name: layer for layer in analysis.layers}
    rounded = rounded_by_the_reference(graph, model, theirs, batch)
    compared = 0
    for kind, measure in measures.items():
        found = measure(quantizeml_model.to_tf_keras(graph), theirs, batch_size=4, seed=1)
        for key, figures in found.items():
            layer = key.partition(" ")[0]
            if layer not in mine:
                assert layer.startswith(MOVING), layer
            if layer not in mine or layer in rounded:
                continue
            error = getattr(mine[layer], kind)
            assert f"{error.smape:.4f}" == f"{figures['SMAPE']:.4f}", (kind, key)
            assert error.saturated * 100 == pytest.approx(figures["Saturation (%)"], abs=1e-3)
            compared += 1
    assert compared >= len(mine) // 2  # half of them quantize nothing, at most
    assert len(rounded) <= 3
