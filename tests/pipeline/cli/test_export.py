"""``crossgrade export``: formats, and refusals."""

import json

import pytest
from click.testing import CliRunner

from pipeline.cli.main import cli
from pipeline.errors import ConfigError, DataError, ModelError
from pipeline.files import file_sha256
from pipeline.graph.archive import save_graph
from tests.pipeline.cli.test_convert import GRAPH, quantized
from tests.pipeline.migration.test_migrate import old_model


def run(*arguments):
    return CliRunner().invoke(cli, [str(part) for part in arguments])


@pytest.mark.parametrize("scheme", ["quantizeml", "cnn2snn"])
def test_the_format_is_that_of_the_scheme(tmp_path, scheme):
    path, out = quantized(tmp_path, scheme), tmp_path / "model.h5"
    found = run("export", path, "-o", out)
    assert found.exit_code == 0, found.output
    shown = " ".join(found.output.split())
    assert shown.endswith(f"{out}: small for {scheme} sha256 {file_sha256(out)}")
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
        found = run("export", program, "-o", tmp_path / "x.onnx", *options)
        assert isinstance(found.exception, ConfigError)
    found = run("export", program, "-o", tmp_path / "p.h5")
    assert isinstance(found.exception, ConfigError) and "suffixes: .onnx" in str(found.exception)
    assert not (tmp_path / "p.h5").exists()


@pytest.mark.parametrize("scheme", ["quantizeml", "cnn2snn"])
def test_the_suffix_of_onnx_means_onnx(tmp_path, scheme):
    pytest.importorskip("onnx")
    model = quantized(tmp_path, scheme)
    found = run("export", model, "-o", tmp_path / "a.onnx")
    assert found.exit_code == 0 and " for onnx\n" in found.output
    assert run("export", model, "-o", tmp_path / "b.onnx", "--format", "onnx").exit_code == 0
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


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


def migrated(tmp_path):
    """Return a migrated model's certificate and its quantized file."""
    save_graph(tmp_path / "old.npz", old_model())
    assert run("migrate", tmp_path / "old.npz", "-o", tmp_path / "new.h5").exit_code == 0
    model = tmp_path / "q.npz"
    found = run("quantize", tmp_path / "new.h5", "-o", model)
    assert found.exit_code == 0, found.output
    return tmp_path / "new_certificate", model


def test_the_certificate_of_a_migration_names_the_export(tmp_path):
    certificate, model = migrated(tmp_path)
    out, page = tmp_path / "q.h5", certificate / "certificate.html"
    for name, path in (("quantizeml", out), ("onnx", tmp_path / "q.onnx"), ("quantizeml", out)):
        options = ("-o", path, "--format", name, "--certificate", certificate)
        found = run("export", model, *options)
        assert found.exit_code == 0, found.output
    entries = json.loads((certificate / "certificate.json").read_text())["exports"]
    assert [(e["format"], e["path"], e["quantized"]["path"]) for e in entries] == [
        ("onnx", "../q.onnx", "../q.npz"),
        ("quantizeml", "../q.h5", "../q.npz"),
    ]
    assert entries[1]["sha256"] == file_sha256(out) and file_sha256(out) in page.read_text()
    found = run("verify", certificate)
    assert found.exit_code == 0, found.output
    assert f"quantizeml file {out}" in " ".join(found.output.split())
    out.unlink()
    found = run("verify", certificate)
    assert found.exit_code == 0 and f"{out}: not here" in " ".join(found.output.split())
    out.write_bytes(b"other")
    found = run("verify", certificate)
    assert found.exit_code == 1 and "another file" in found.output


def test_a_certificate_of_another_model_is_refused_before_anything_is_written(tmp_path):
    certificate, model = migrated(tmp_path)
    other = quantized(tmp_path, "quantizeml")
    out = tmp_path / "x.h5"
    found = run("export", other, "-o", out, "--certificate", certificate)
    assert isinstance(found.exception, DataError) and "certifies a model of" in str(found.exception)
    path = certificate / "certificate.json"
    path.write_text(path.read_text().replace("akida_v2", "akida_v1", 1))
    found = run("export", model, "-o", out, "--certificate", certificate)
    assert "was changed after it was written" in str(found.exception)
    found = run("export", model, "-o", out, "--certificate", tmp_path)
    assert "no such file" in str(found.exception)
    assert not out.exists()


@pytest.mark.parametrize(
    ("output", "options", "found"),
    [
        ("q.npz", (), "is the model itself"),
        ("a.txt", (), "allowed suffixes: .h5, .onnx"),
        ("a.onnx", ("--format", "quantizeml"), "allowed suffixes: .h5"),
    ],
)
def test_wrong_outputs_are_refused(tmp_path, output, options, found):
    model = quantized(tmp_path, "quantizeml").rename(tmp_path / "q.npz")
    before = model.read_bytes()
    done = run("export", model, "-o", tmp_path / output, *options)
    assert isinstance(done.exception, ConfigError) and found in str(done.exception)
    assert model.read_bytes() == before and len(list(tmp_path.glob("a.*"))) == 0
