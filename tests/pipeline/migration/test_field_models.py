"""Trained models of other authors, where they are at hand: read, carried, and run."""

from pathlib import Path

import numpy as np
import pytest

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
LEAST_RATIO = 10.0
"""dB of the outputs against what quantizing changes; on their calibration inputs."""

pytestmark = pytest.mark.skipif(not FILES, reason="the folder of trained models is not there")


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
