"""ONNX models of other authors, where they are at hand: carried, whole or in part, and run."""

from pathlib import Path

import pytest

from conformance.field import examine

FOLDERS = sorted((Path(__file__).resolve().parents[3] / "shared" / "field").glob("onnx_*"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDERS, reason="the folder of trained models is not there"),
]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_a_model_runs_on_the_chip_and_the_host(folder):
    pytest.importorskip("onnx")
    row = examine(folder)
    # onnxruntime sums in another order.
    assert row.difference <= 1e-5
    assert 0 < row.carried <= row.layers
    assert row.agreement > 0.9 and min(row.ratios) > 3
