"""``crossgrade compare``: the first divergence, between all kinds of files."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.analysis.comparison import compare
from pipeline.analysis.outputs import of_program
from pipeline.chips import convert
from pipeline.cli.main import cli
from pipeline.errors import DataError, ModelError
from pipeline.graph.archive import save_graph
from pipeline.quantization.archive import save_quantized
from simulator.archive import write_archive
from simulator.vectors import write_vectors
from tests.pipeline.analysis.faults import FAULTS, changed, images, network, quantized


def program(model=None):
    return convert(model or quantized(), "akida_v2")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_at_its_layer(fault):
    node, layer, change = FAULTS[fault]
    found = compare(
        of_program(program()), of_program(program(changed(quantized(), node, change))), images()
    )
    assert found.first.name == layer
    first, values = found.first.first, {}
    for side, model in (("a", quantized()), ("b", changed(quantized(), node, change))):
        outputs = of_program(program(model)).batch(images(), slice(0, 24))[layer]
        values[side] = outputs
        assert outputs[(first.image, *first.index)] == getattr(first, side)
    wrong = values["a"] != values["b"]
    assert found.first.differ == np.count_nonzero(wrong)
    assert not wrong[: first.image].any()


def test_equal_models_have_no_difference():
    found = compare(of_program(program()), of_program(program()), images())
    assert found.first is None and found.images == 24
    assert len(found.layers) == len(program().layers)


@pytest.fixture
def files(tmp_path):
    np.save(tmp_path / "x.npy", images())
    save_graph(tmp_path / "float.npz", network())
    save_quantized(tmp_path / "q.npz", quantized())
    program().save(tmp_path / "p.npz")
    write_vectors(program(), images(), tmp_path / "vectors")
    node, _, change = FAULTS["bias off by one"]
    faulty = changed(quantized(), node, change)
    save_quantized(tmp_path / "q_bad.npz", faulty)
    program(faulty).save(tmp_path / "p_bad.npz")
    for name, model in (("t.npz", quantized()), ("t_bad.npz", faulty)):
        arrays = of_program(program(model)).batch(images(), slice(0, 24))
        write_archive(tmp_path / name, {"kind": "trace", "layers": list(arrays)}, arrays)
    return tmp_path


def run(files, a, b, *options):
    command = ["compare", str(files / a), str(files / b), str(files / "x.npy"), *options]
    return CliRunner().invoke(cli, command)


GOOD, BAD = ("q.npz", "p.npz", "t.npz", "vectors"), ("q_bad.npz", "p_bad.npz", "t_bad.npz")


@pytest.mark.parametrize("a", GOOD)
def test_every_kind_is_compared_with_every_other(files, a):
    for b in GOOD:
        result = run(files, a, b)
        assert result.exit_code == 0 and "equal in" in result.output, (b, result.output)
    for b in BAD:
        result = run(files, a, b)
        assert result.exit_code == 1
        assert "first difference: depthwiseconv2d_5" in result.output
        assert max(map(len, result.output.splitlines())) < 101


def test_a_file_of_vectors_that_others_filled_in(files):
    manifest = json.loads((files / "vectors/manifest.json").read_text())
    entry = next(e for e in manifest["layers"] if e["name"] == "conv2d_7")["output"]
    path = files / "vectors" / entry["file"]
    values = np.fromfile(path, entry["dtype"])
    values[-1] += 1
    values.tofile(path)
    result = run(files, "q.npz", "vectors", "--json")
    found = json.loads(result.output)
    assert result.exit_code == 1 and not found["equal"]
    first = next(layer for layer in found["layers"] if layer["differ"])
    assert (first["name"], first["differ"], first["largest"]) == ("conv2d_7", 1, 1.0)
    shape = entry["shape"]
    assert first["first"]["image"] == shape[0] - 1
    assert first["first"]["index"] == [n - 1 for n in shape[1:]]


def test_stored_outputs_need_no_images(files):
    paths = [str(files / name) for name in ("t.npz", "vectors", "p.npz")]
    assert CliRunner().invoke(cli, ["compare", *paths[:2]]).exit_code == 0
    result = CliRunner().invoke(cli, ["compare", *paths[1:]])
    assert isinstance(result.exception, DataError) and "give images" in str(result.exception)
    np.save(files / "x.npy", images()[:5])
    result = run(files, "t.npz", "p.npz")
    assert "different numbers of images" in str(result.exception)


def test_float_models_are_compared_by_the_rounding_of_sums(files):
    rounded = network().rewrite(
        lambda node: (
            [node.with_weights(kernel=node.weights["kernel"] * np.float32(1 + 1e-6))]
            if node.op == "Conv2D"
            else None
        )
    )
    save_graph(files / "rounded.npz", rounded)
    result = run(files, "float.npz", "rounded.npz")
    assert result.exit_code == 0 and "rounding" in result.output
    other = network().rewrite(
        lambda node: (
            [node.with_weights(bias=node.weights["bias"] + np.float32(0.3))]
            if node.name == "conv2d_10"
            else None
        )
    )
    save_graph(files / "other.npz", other)
    result = run(files, "float.npz", "other.npz")
    assert result.exit_code == 1 and "first difference: conv2d_10" in result.output


def test_floats_and_integers_are_not_compared(files):
    result = run(files, "float.npz", "p.npz")
    assert isinstance(result.exception, ModelError) and "analyze" in str(result.exception)


def test_damaged_vectors_are_refused_together(files):
    manifest = json.loads((files / "vectors/manifest.json").read_text())
    first, second = (entry["output"]["file"] for entry in manifest["layers"][:2])
    (files / "vectors" / first).unlink()
    (files / "vectors" / second).write_bytes(b"12")
    result = run(files, "vectors", "p.npz")
    assert isinstance(result.exception, DataError)
    assert "it is missing" in str(result.exception) and "it has 2 bytes" in str(result.exception)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kind", "x"),
        ("layers", 3),
        ("layers", [{"name": "a"}]),
        ("count", "many"),
        ("file", "../x"),
    ],
)
def test_damaged_manifests_are_refused(files, key, value):
    path = files / "vectors/manifest.json"
    manifest = json.loads(path.read_text())
    if key == "file":
        manifest["layers"][0]["output"]["file"] = value
    else:
        manifest[key] = value
    path.write_text(json.dumps(manifest))
    result = run(files, "vectors", "p.npz")
    assert isinstance(result.exception, DataError), result.exception
