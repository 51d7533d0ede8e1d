"""Commands check, migrate, verify and unfuse."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.cli.check import command as check
from pipeline.cli.main import cli
from pipeline.cli.migrate import command as migrate
from pipeline.cli.unfuse import command as unfuse
from pipeline.cli.verify import command as verify
from pipeline.errors import ConfigError, CrossgradeError, DataError, IncompatibleModelError
from pipeline.graph.archive import save_graph
from pipeline.graph.forward import forward
from pipeline.models.file import read_float
from pipeline.preparation.verification import random_images
from tests.pipeline.chips.models import MATRIX, RELU, conv, first
from tests.pipeline.migration.test_migrate import old_model


def run(command, *arguments):
    name = command.callback.__module__.rpartition(".")[2]
    result = CliRunner().invoke(cli, [name, *map(str, arguments)])
    if result.exception is not None and not isinstance(
        result.exception, SystemExit | CrossgradeError
    ):
        raise result.exception
    return result


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "old.npz"
    save_graph(path, old_model())
    return path


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_check_lists_everything_within_100_columns(model):
    result = run(check, model)
    assert result.exit_code == 1
    assert max(map(len, result.output.splitlines())) <= 100
    for text in ("compatible after migrate", ": found SeparableConv2D", "migrate repairs it"):
        assert text in result.output
    assert run(check, model, "--fixable").exit_code == 0
    assert run(check, model, "--target", "akida_v1").exit_code == 0


def test_check_json(model):
    report = json.loads(run(check, model, "--json").output)
    assert report["verdict"] == "compatible after migrate"
    assert {v["rule"] for v in report["violations"]} == {
        "fused_separable",
        "pooling_before_activation",
    }
    assert all(v["fixable"] and v["source"] and v["fix"] for v in report["violations"])


def test_check_strict_counts_hardware_limits(tmp_path):
    save_graph(tmp_path / "wide.npz", first(conv(513), RELU))
    assert run(check, tmp_path / "wide.npz").exit_code == 0
    result = run(check, tmp_path / "wide.npz", "--strict")
    assert result.exit_code == 1 and "at most 512" in result.output


def test_check_architectures_by_name():
    assert run(check, "ds_cnn", "version=2.0").exit_code == 0
    assert run(check, "ds_cnn", "version=1.0").exit_code == 1


@pytest.mark.parametrize("suffix", [".h5", ".keras", ".npz"])
def test_migrate_and_verify(model, tmp_path, suffix):
    out = tmp_path / f"new{suffix}"
    result = run(migrate, model, "-o", out)
    assert result.exit_code == 0, result.exception
    assert "compatible with akida_v2, float noise" in " ".join(result.output.split())
    assert files(tmp_path) == sorted(
        [
            f"new{suffix}",
            "new_certificate/certificate.html",
            "new_certificate/certificate.json",
            "old.npz",
        ]
    )
    images = random_images(old_model(), 4)
    np.testing.assert_allclose(
        forward(read_float(out), images), forward(old_model(), images), atol=1e-6
    )
    checked = run(verify, tmp_path / "new_certificate")
    assert checked.exit_code == 0 and "the certificate holds" in checked.output
    assert "FAILED" not in checked.output


def test_the_same_certificate_twice(model, tmp_path):
    for number in (1, 2):
        run(migrate, model, "-o", tmp_path / "new.npz", "--report", tmp_path / f"r{number}")
    one, two = ((tmp_path / f"r{n}" / "certificate.json").read_text() for n in (1, 2))
    assert one == two


def test_calibration_and_labels(model, tmp_path):
    images = random_images(old_model(), 30)
    np.save(tmp_path / "x.npy", images)
    np.save(tmp_path / "y.npy", forward(old_model(), images).argmax(axis=1))
    arguments = ["--calibration", tmp_path / "x.npy", "--labels", tmp_path / "y.npy"]
    result = run(migrate, model, "-o", tmp_path / "a.npz", *arguments, "--samples", 20)
    assert "accuracy 1.0000 before, 1.0000 after" in result.output
    certificate = json.loads((tmp_path / "a_certificate" / "certificate.json").read_text())
    assert certificate["samples"]["count"] == 20
    assert certificate["samples"]["path"] == "../x.npy"
    assert run(verify, tmp_path / "a_certificate").exit_code == 0
    result = run(migrate, model, "-o", tmp_path / "b.npz", *arguments, "--gap", "relocate")
    assert "approximate" in result.output
    assert run(verify, tmp_path / "b_certificate").exit_code == 0
    page = (tmp_path / "b_certificate" / "certificate.html").read_text()
    assert "computes something else" in page
    (tmp_path / "x.npy").unlink()
    assert "other, random samples" in run(verify, tmp_path / "a_certificate").output


def test_verify_detects_every_change(model, tmp_path):
    out, folder = tmp_path / "new.npz", tmp_path / "new_certificate"
    run(migrate, model, "-o", out)
    certificate = json.loads((folder / "certificate.json").read_text())

    changed = old_model()
    dense = changed.node("n9").weights["bias"] + np.float32(1)
    nodes = [n.with_weights(bias=dense) if n.name == "n9" else n for n in changed.nodes]
    save_graph(tmp_path / "other.npz", changed.with_nodes(nodes))
    result = run(verify, folder, "--model", tmp_path / "other.npz")
    assert result.exit_code == 1
    assert "another file" in result.output and "largest difference 1," in result.output

    result = run(verify, folder, "--output", model)
    assert result.exit_code == 1 and "compatible after migrate" in result.output

    certificate["outputs"]["max_abs_difference"] = 0.0
    (folder / "certificate.json").write_text(json.dumps(certificate))
    result = run(verify, folder)
    assert result.exit_code == 1 and "content was changed" in result.output

    out.unlink()
    result = run(verify, folder)
    assert result.exit_code == 1 and "no such file" in " ".join(result.output.split())


def test_verify_refuses_other_files(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "b.json").write_text("[1")
    kind = {"kind": "crossgrade certificate", "format": 1}
    (tmp_path / "c.json").write_text(json.dumps(kind))
    (tmp_path / "d.json").write_text(json.dumps({**kind, "format": 2}))
    for name in ("a.json", "b.json", "c.json", "d.json", "missing.json", "."):
        assert isinstance(run(verify, tmp_path / name).exception, DataError)


@pytest.mark.parametrize(
    "place, value",
    [
        (("samples", "count"), 10**15),
        (("samples", "count"), "many"),
        (("samples", "seed"), -1),
        (("samples", "source"), None),
        (("outputs", "max_abs_difference"), "small"),
        (("input", "path"), 3),
        (("target",), "akida_v7"),
        (("verdict",), []),
    ],
)
def test_a_damaged_certificate_is_refused_in_one_message(model, tmp_path, place, value):
    run(migrate, model, "-o", tmp_path / "new.npz")
    path = tmp_path / "new_certificate" / "certificate.json"
    content = json.loads(path.read_text())
    *outer, last = place
    part = content[outer[0]] if outer else content
    part[last] = value
    path.write_text(json.dumps(content))
    result = run(verify, path)
    assert result.exit_code == 1
    assert "content was changed" in result.output or isinstance(result.exception, CrossgradeError)


MISUSE = [
    (["-o", "new.pb"], "allowed suffixes: .h5, .keras, .onnx, .npz"),
    (["-o", "old.npz"], "is MODEL itself"),
    (["-o", "new.npz", "--gap", "relocate"], "give --calibration"),
    (["-o", "new.npz", "--labels", "y.npy"], "give --calibration as well"),
    (["-o", "new.npz", "--calibration", "missing.npy"], "no such file"),
    (["-o", "new.npz", "--calibration", "wrong.npy"], "needs (n, 8, 8, 3)"),
    (["-o", "new.npz", "--calibration", "x.npy", "--labels", "wrong.npy"], "one whole number"),
    (["-o", "new.npz", "--target", "akida_v7"], "known targets: akida_v1, akida_v2"),
]


@pytest.mark.parametrize("arguments, message", MISUSE)
def test_misuse_writes_nothing(model, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", random_images(old_model(), 3))
    np.save("wrong.npy", np.zeros((2, 3)))
    before = files(tmp_path)
    result = run(migrate, "old.npz", *arguments)
    assert isinstance(result.exception, CrossgradeError) and message in str(result.exception)
    assert files(tmp_path) == before


def test_an_incompatible_model_is_refused_with_all_reasons(tmp_path):
    save_graph(tmp_path / "m.npz", MATRIX["tanh"][0])
    before = files(tmp_path)
    result = run(migrate, tmp_path / "m.npz", "-o", tmp_path / "new" / "n.h5", "--parents")
    assert isinstance(result.exception, IncompatibleModelError)
    assert "tanh" in str(result.exception)
    assert files(tmp_path) == before and not (tmp_path / "new").exists()


def test_a_file_that_reads_back_differently_is_not_kept(model, tmp_path, monkeypatch):
    def wrong(path, graph):
        save_graph(path, old_model())

    monkeypatch.setattr("pipeline.models.file.save_graph", wrong)
    monkeypatch.setattr("pipeline.migration.read_back.APPROXIMATE", "float noise")
    result = run(migrate, model, "-o", tmp_path / "new.npz")
    assert "reads back as another model" in str(result.exception)
    assert files(tmp_path) == ["old.npz"]


class Page(HTMLParser):
    """Parser that counts tags and collects attributes that load something."""

    def __init__(self):
        super().__init__()
        self.open, self.loads = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "br"):
            self.open.append(tag)
        self.loads += [value for key, value in attrs if key in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_complete_self_contained_and_escaped(tmp_path):
    graph = old_model()
    rename = {"n4": "<script>alert(1)</script>"}
    nodes = [
        type(n)(
            rename.get(n.name, n.name),
            n.op,
            [rename.get(i, i) for i in n.inputs],
            n.attrs,
            n.weights,
        )
        for n in graph.nodes
    ]
    save_graph(tmp_path / "old.npz", graph.with_nodes(nodes))
    run(migrate, tmp_path / "old.npz", "-o", tmp_path / "new.npz")
    text = (tmp_path / "new_certificate" / "certificate.html").read_text()
    page = Page()
    page.feed(text)
    assert page.open == [] and page.loads == []
    assert "<script" not in text and "&lt;script&gt;" in text
    assert not re.search(r"https?://|@import|url\(", text)


def test_unfuse(model, tmp_path):
    result = run(unfuse, "-m", model)
    assert result.exit_code == 0, result.exception
    shown = " ".join(result.output.split())
    assert "2 separable convolutions split; largest difference 0 " in shown
    graph = read_float(tmp_path / "old_unfused.h5")
    assert "SeparableConv2D" not in {node.op for node in graph.nodes}
    assert {"dw_n2", "pw_n2"} <= graph.by_name.keys()
    assert run(unfuse, "-m", model, "-o", tmp_path / "u.npz").exit_code == 0
    for output, message in (("old.npz", "is the model itself"), ("x.txt", "allowed suffixes")):
        assert message in str(run(unfuse, "-m", model, "-o", tmp_path / output).exception)
    assert "no such file" in str(run(unfuse, "-m", tmp_path / "missing.h5").exception)


def test_unknown_target_of_check(model):
    error = run(check, model, "--target", "akida_v7").exception
    assert isinstance(error, ConfigError) and "known targets: akida_v1, akida_v2" in str(error)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x93NUMPY\xff", b"[1]", b'{"kind": "x"}'])
def test_what_is_no_certificate_is_refused_by_its_own_name(tmp_path, content):
    path = tmp_path / "certificate.json"
    path.write_bytes(content)
    result = CliRunner().invoke(cli, ["verify", str(path)])
    assert isinstance(result.exception, DataError)
    assert "is no crossgrade certificate; give the one that migrate wrote" in str(result.exception)
