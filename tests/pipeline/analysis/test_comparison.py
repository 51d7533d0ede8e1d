"""``crossgrade compare``: the first divergence, between all kinds of files."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings

from pipeline.analysis.comparison import compare
from pipeline.analysis.comparison_text import comparison_text
from pipeline.analysis.outputs import INTEGERS, Outputs, of_graph, of_program
from pipeline.chips import convert
from pipeline.chips.check import repaired
from pipeline.cli.main import cli
from pipeline.errors import DataError, ModelError
from pipeline.graph.archive import save_graph
from pipeline.preparation.verification import random_images
from pipeline.quantization.archive import save_quantized
from simulator.archive import write_archive
from simulator.vectors import write_vectors
from tests.pipeline.analysis.faults import FAULTS, changed, images, network, quantized
from tests.pipeline.quantization.graphs import chain, conv
from tests.pipeline.transforms.small_networks import KINDS


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
    for one, other in (paths[:2], paths[:1] * 2, paths[1:2] * 2):
        assert CliRunner().invoke(cli, ["compare", one, other]).exit_code == 0
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
    joined = "".join(line.strip() for line in result.output.splitlines())
    assert "rounded.npz" in joined and "float.npz" in joined
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


@pytest.mark.parametrize("kind", KINDS)
def test_a_repaired_model_has_the_outputs_of_the_given_one(kind):
    """Whatever a migration moves, renames or reshapes, the models' outputs are compared."""
    drawn = Counter()

    @settings(max_examples=6, database=None)
    @given(KINDS[kind])
    def holds(graph):
        fixed, _, feeding = repaired(graph, "akida_v2")
        given, last = random_images(graph), fixed.node(fixed.output)
        fed = feeding(given) if feeding else None
        found = compare(of_graph(graph), of_graph(fixed), given, images_b=fed)
        assert found.outputs_equal, comparison_text(found, "AB")
        assert max(map(len, comparison_text(found, "AB").splitlines())) <= 100
        drawn["reshaped"] += bool(found.other_shapes)
        if last.op == "Dense":
            off = last.with_weights(bias=last.weights["bias"] + np.float32(99))
            wrong = fixed.rewrite(lambda node: [off] if node.name == last.name else None)
            found = compare(of_graph(graph), of_graph(wrong), given, images_b=fed)
            assert found.outputs_equal is False and not found.equal

    holds()
    if kind in ("select_after_pooling", "cut_borders_in_dense", "sink_permutes"):
        assert drawn["reshaped"]


def shaped(name, *shape, kind="trace", end=None):
    """Return stored outputs of one layer, and of a last one with two values."""
    arrays = {name: np.arange(np.prod(shape)).reshape(1, *shape), end or "end": np.ones((1, 2))}
    return Outputs(
        title=kind,
        kind=INTEGERS,
        layers=dict.fromkeys(arrays, ""),
        outputs=(end or "end",),
        batch=lambda images, part: arrays,
        count=1,
    )


def test_swapped_axes_are_another_shape():
    found = compare(shaped("a", 3, 4, 2), shaped("a", 4, 3, 2))
    assert [(one.name, one.a, one.b) for one in found.other_shapes] == [("a", (3, 4, 2), (4, 3, 2))]
    assert found.first is None and not found.equal and found.outputs_equal
    text = comparison_text(found, "AB")
    assert "of other shapes, not compared: a (3, 4, 2) and (4, 3, 2)" in text
    assert "the outputs of both models are equal" in text


@pytest.mark.parametrize("shape", [(3, 1, 4), (12,), (3, 4, 1)])
def test_shapes_of_the_same_order_are_compared(shape):
    assert compare(shaped("a", 3, 4), shaped("a", *shape)).equal


def test_outputs_of_other_names_are_compared():
    found = compare(shaped("a", 3, end="logits"), shaped("b", 3, end="dense"))
    assert [layer.name for layer in found.layers] == ["logits / dense"]
    assert found.outputs_equal and (found.only_a, found.only_b) == (("a",), ("b",))
    with pytest.raises(ModelError, match=r"no layer of the same name and shape \(a / b"):
        compare(
            replace(shaped("a", 3), outputs=("a",)),
            replace(shaped("b", 4), outputs=("b",), layers={"b": ""}),
        )


def test_images_of_another_shape_are_given_beside(files):
    graph = chain(("Reshape", {"target_shape": (4, 4, 1)}), conv(2), shape=(16,))
    save_graph(files / "flat.npz", graph)
    save_graph(files / "map.npz", repaired(graph, "akida_v2")[0])
    np.save(files / "x.npy", np.arange(32, dtype=np.uint8).reshape(2, 16))
    result = run(files, "flat.npz", "map.npz")
    assert isinstance(result.exception, DataError)
    assert "--images-b gives B images of its own" in str(result.exception)
    np.save(files / "xb.npy", np.load(files / "x.npy").reshape(2, 4, 4, 1))
    result = run(files, "flat.npz", "map.npz", "--images-b", str(files / "xb.npy"))
    assert result.exit_code == 0, result.output
    np.save(files / "xb.npy", np.zeros((3, 4, 4, 1)))
    result = run(files, "flat.npz", "map.npz", "--images-b", str(files / "xb.npy"))
    assert "the images: 2, the images of B: 3" in str(result.exception)


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
