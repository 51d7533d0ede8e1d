"""``crossgrade export``: formats, and refusals."""

import pytest
from click.testing import CliRunner

from pipeline.cli.main import cli
from pipeline.errors import ConfigError, ModelError
from pipeline.files import file_sha256
from pipeline.graph.archive import save_graph
from tests.pipeline.cli.test_convert import GRAPH, quantized


def run(*arguments):
    return CliRunner().invoke(cli, [str(part) for part in arguments])


@pytest.mark.parametrize("scheme", ["quantizeml", "cnn2snn"])
def test_the_format_is_that_of_the_scheme(tmp_path, scheme):
    path, out = quantized(tmp_path, scheme), tmp_path / "model.h5"
    found = run("export", path, "-o", out)
    assert found.exit_code == 0, found.output
    assert found.output.splitlines()[-2:] == [
        f"{out}: small for {scheme}",
        f"sha256 {file_sha256(out)}",
    ]
    chip = {"quantizeml": "akida_v2", "cnn2snn": "akida_v1"}[scheme]
    for model, name in ((path, "a.npz"), (out, "b.npz")):
        assert run("convert", model, "-o", tmp_path / name, "--target", chip).exit_code == 0
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_program_becomes_onnx(tmp_path):
    pytest.importorskip("onnx")
    program, out = tmp_path / "p.npz", tmp_path / "p.onnx"
    assert run("convert", quantized(tmp_path, "quantizeml"), "-o", program).exit_code == 0
    assert run("export", program, "-o", out).exit_code == 0
    again = tmp_path / "again.onnx"
    model = quantized(tmp_path, "quantizeml")
    assert run("export", model, "-o", again, "--format", "onnx").exit_code == 0
    assert out.read_bytes() == again.read_bytes()
    for options in (("--format", "quantizeml"), ("--target", "akida_v1")):
        found = run("export", program, "-o", tmp_path / "x", *options)
        assert isinstance(found.exception, ConfigError)


def test_refusals_name_what_to_do_and_write_nothing(tmp_path):
    save_graph(tmp_path / "float.npz", GRAPH)
    found = run("export", tmp_path / "float.npz", "-o", tmp_path / "x.h5")
    assert isinstance(found.exception, ModelError)
    assert "quantize it first" in str(found.exception)
    model = quantized(tmp_path, "quantizeml")
    found = run("export", model, "-o", tmp_path / "x.h5", "--format", "cnn2snn")
    assert isinstance(found.exception, ConfigError)
    assert "--format: cnn2snn holds models of the scheme cnn2snn" in str(found.exception)
    assert not (tmp_path / "x.h5").exists()
