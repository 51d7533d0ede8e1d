"""Trained models of other authors, where they are at hand: read, carried, and run."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import field_inputs
from benchmarks.field import KINDS, measured
from pipeline.chips import convert
from pipeline.chips.check import check
from pipeline.chips.report import COMPATIBLE, INCOMPATIBLE
from pipeline.config.sections import Quantization
from pipeline.graph.forward import forward
from pipeline.migration.compare import outputs_of
from pipeline.migration.migrate import migrate
from pipeline.models.file import read_float
from pipeline.quantization.quantize import quantize
from simulator import simulate

FIELD = Path(__file__).resolve().parents[4] / "shared" / "field"
FILES = sorted(FIELD.glob("*/model.h5"))
TARGET = "akida_v2"
LEAST_RATIO, LEAST_AGREEMENT = 10.0, 0.8
"""dB of the outputs against what quantizing changes, and share of equal classes."""

pytestmark = pytest.mark.skipif(not FILES, reason="the folder of trained models is not there")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in KINDS if "xception" not in name])
def test_classes_agree_on_inputs_of_their_kind(name, monkeypatch):
    monkeypatch.setattr(field_inputs, "COUNT", 48)
    found = measured(name, read_float(FIELD / name / "model.h5"))
    assert found["equivalence"] != "approximate" and found["snr"] > LEAST_RATIO
    assert found["agreement"] is None or found["agreement"] >= LEAST_AGREEMENT


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_a_trained_model_is_carried(path):
    graph, images = read_float(path), np.load(path.parent / "inputs.npy")
    wanted = np.load(path.parent / "outputs.npy")
    # Keras sums in another order.
    np.testing.assert_allclose(forward(graph, images), wanted, rtol=1e-3, atol=1e-4)
    assert check(graph, TARGET).verdict != INCOMPATIBLE
    found = migrate(graph, TARGET, images)
    assert found.check_after.verdict == COMPATIBLE and found.equivalence != "approximate"
    program = convert(quantize(found.after, images, Quantization()), TARGET)
    before = outputs_of(graph, images)
    noise = simulate(program, images).reshape(before.shape) - before
    assert 10 * np.log10(np.sum(before**2) / np.sum(noise**2)) > LEAST_RATIO
