"""Float models recovered from quantized files, compared with the files' outputs."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.cli.main import cli
from pipeline.cli.migrate import command as migrate
from pipeline.errors import ModelError
from pipeline.files import read_json
from pipeline.migration import recovery
from pipeline.migration.recovery import compare_recovery, read_compared, recovery_sentence
from pipeline.models.file import read_float
from pipeline.models.source import source_graph
from pipeline.models.wanted import Wanted

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.mark.parametrize(
    ("name", "chip", "least", "share"),
    [
        # Steps of cnn2snn are preserved: only float sums differ.
        ("cnn2snn_small", "akida_v1", 1.0, 1e-6),
        # Ranges and widths are dropped: outputs differ by 8-bit rounding.
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


def test_samples_that_the_chip_cannot_read_are_named():
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


def test_a_float_tail_is_left_out_of_the_comparison():
    """The float model ends in Softmax and Reshape; the file's integers end before them."""
    path = FIXTURES / "quantized_slopes.h5"
    with np.load(FIXTURES / "quantized_slopes.npz") as arrays:
        # The other images are beyond the range of the look-up tables.
        images = arrays["images"][:1]
    graph = read_float(path)
    assert [node.op for node in graph.nodes[-3:]] == ["Softmax", "Dropout", "Reshape"]
    found = compare_recovery(path, graph, images)
    assert found["relative_difference"] < 0.05
    assert found["allowed_difference"] == 0.5


GOLDEN = sorted((Path(__file__).parents[4] / "shared" / "golden").glob("quantizeml-*"))


@pytest.mark.slow
@pytest.mark.parametrize("folder", GOLDEN, ids=lambda folder: folder.name)
def test_models_of_the_vendors_quantizer_are_recovered(folder):
    """One file saturates in its Flatten; ignoring that gives an error of 2.7 times its outputs."""
    found = compare_recovery(
        folder / "model.h5", read_float(folder / "model.h5"), np.load(folder / "inputs.npy")
    )
    assert found["relative_difference"] < (0.15 if "4_4" in folder.name else 0.05)
    assert found["agreement"] == 1


def test_a_model_that_no_float_layer_carries_is_not_migrated(tmp_path, monkeypatch):
    monkeypatch.setattr(recovery, "LARGEST_DIFFERENCE", {8: 0.0, 4: 0.0})
    out = tmp_path / "new.npz"
    path = FIXTURES / "quantized_residual.h5"
    result = CliRunner().invoke(migrate, [str(path), "-o", str(out)])
    assert isinstance(result.exception, ModelError)
    assert "quantized_residual.h5: the float model recovered from it" in str(result.exception)
    assert "crossgrade convert" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "{path}"),
        ("describe", "{path}"),
        ("unfuse", "-m", "{path}", "-o", "{folder}/new.npz"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_commands_that_recover_a_model_compare_it(arguments, tmp_path, monkeypatch):
    path = FIXTURES / "quantized_residual.h5"
    words = [word.format(path=path, folder=tmp_path) for word in arguments]
    said = CliRunner().invoke(cli, words).stderr
    assert "was quantized by QuantizeML" in said
    assert "same class as the quantized one on" in " ".join(said.split())
    monkeypatch.setattr(recovery, "LARGEST_DIFFERENCE", {8: 0.0, 4: 0.0})
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 1
    assert "computes something else" in str(result.exception or result.output)


def test_an_imported_model_is_compared_with_its_file(monkeypatch):
    model = {"path": str(FIXTURES / "cnn2snn_small.h5")}
    _, notes = source_graph(model, seed=0)
    assert "same class as the quantized one on 100.00% of samples" in notes[0].text
    monkeypatch.setattr(recovery, "LARGEST_DIFFERENCE", {8: -1.0, 4: -1.0})
    with pytest.raises(ModelError, match="computes something else"):
        source_graph(model, seed=0)


def test_a_part_of_a_recovered_model_is_compared_as_a_whole():
    path = FIXTURES / "cnn2snn_small.h5"
    whole, _ = read_compared(path)
    part, notes = read_compared(path, Wanted(until="first/relu"))
    assert part.output == "first/relu" != whole.output
    assert "same class as the quantized one on 100.00% of samples" in notes[0].text
