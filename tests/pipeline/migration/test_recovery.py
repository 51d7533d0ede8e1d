"""Float models recovered from quantized files, beside what the files compute."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.cli.migrate import command as migrate
from pipeline.files import read_json
from pipeline.migration.recovery import compare_recovery, recovery_sentence
from pipeline.models.file import read_float

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.mark.parametrize(
    ("name", "chip", "least", "share"),
    [
        # Steps of cnn2snn are kept: only float sums differ.
        ("cnn2snn_small", "akida_v1", 1.0, 1e-6),
        # Ranges and widths are left behind: outputs move by what 8 bits round.
        ("quantized_residual", "akida_v2", 0.6, 0.4),
    ],
)
def test_a_recovered_model_is_compared_with_its_file(name, chip, least, share):
    path = FIXTURES / f"{name}.h5"
    with np.load(FIXTURES / f"{name}.npz") as arrays:
        images = arrays["images"]
    found = compare_recovery(path, read_float(path), images)
    assert found["chip"] == chip
    assert found["agreement"] >= least
    assert found["max_abs_difference"] <= share * found["largest_output"]
    assert f"on {found['agreement']:.2%} of samples" in recovery_sentence(found)


def test_samples_that_the_chip_cannot_take_are_named():
    path = FIXTURES / "cnn2snn_small.h5"
    found = compare_recovery(path, read_float(path), np.full((2, 8, 7, 3), 0.5, np.float32))
    assert recovery_sentence(found) == "not compared with the quantized one: samples are not uint8"


def test_the_certificate_keeps_the_comparison(tmp_path):
    out = tmp_path / "new.npz"
    result = CliRunner().invoke(migrate, [str(FIXTURES / "cnn2snn_small.h5"), "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert "recovered model: same class as the quantized one on 100.00% of samples" in result.output
    folder = tmp_path / "new_certificate"
    kept = read_json(folder / "certificate.json")["input"]["recovery"]
    assert recovery_sentence(kept) in (folder / "certificate.html").read_text()
