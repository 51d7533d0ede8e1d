"""Models cut in two: both parts together compute what the whole model does."""

import json
import sys
from collections import Counter

import numpy as np
import pytest

from conformance.agreement_models import random_model
from pipeline.errors import ConfigError, DataError, ModelError
from pipeline.graph.archive import save_graph
from pipeline.graph.forward import forward
from pipeline.host.rest_onnx import cut_onnx
from pipeline.host.run import load_host
from pipeline.host.split import rest_path, split, write_rest
from pipeline.models.file import read_float, write_float
from pipeline.models.wanted import Wanted
from pipeline.preparation.verification import random_images
from simulator import Program, simulate
from tests.pipeline.cli.test_migration_commands import run
from tests.pipeline.importers.onnx_models import images_of, ints, model, node, weights
from tests.pipeline.quantization.graphs import RELU, chain, conv

SEEDS = 40


def parts_of(graph, images):
    """Return the values of every output of a graph."""
    seen = {}
    forward(graph, images, probe=seen.__setitem__)
    return [seen[end.name] for end in graph.ends]


def ends_of(graph, rng):
    """Return one to three nodes of a graph that are neither its input nor its output."""
    inner = [node.name for node in graph.nodes[1:] if node.name != graph.output]
    return tuple(rng.permutation(inner)[: rng.integers(1, 4)].tolist())


def joined(values):
    return np.concatenate([value.reshape(len(value), -1) for value in values], 1)


def test_both_parts_of_random_models_are_the_whole(tmp_path):
    seen = Counter()
    for seed in range(SEEDS):
        whole, rng = random_model(seed, "akida_v2"), np.random.default_rng(seed)
        if not (ends := ends_of(whole, rng)):
            continue
        path = tmp_path / f"{seed}.npz"
        save_graph(path, whole)
        try:
            found = split(path, Wanted(until=ends))
            if found.rest is None:
                seen["reads more"] += 1
                ends = (*ends, *(name for name in whole.by_name if f" {name}" in found.reason))
                found = split(path, Wanted(until=ends))
        except ModelError as error:
            assert "computed on the host; end the model before it" in str(error)
            seen["ends in a softmax"] += 1
            continue
        if found.rest is None:
            assert whole.input.name in found.reason
            seen["reads images"] += 1
            continue
        beside = rest_path(found, tmp_path / f"new{seed}.keras")
        write_rest(found, beside)
        images = random_images(whole, 3)
        part = read_float(path, Wanted(until=ends))
        result = load_host(beside).run(parts_of(part, images))
        assert np.array_equal(joined(result), forward(whole, images).reshape(3, -1))
        seen[beside.suffix] += 1
        seen["several"] += len(part.ends) > 1
    assert min(seen[key] for key in (".npz", ".keras", "several")) >= 10, seen


def test_a_branch_past_the_end_is_named(tmp_path):
    graph = chain(conv(3), RELU, conv(3), ("Add", {}, ("relu_2", "conv2d_3")), conv(2))
    save_graph(tmp_path / "m.npz", graph)
    found = split(tmp_path / "m.npz", Wanted(until="conv2d_3"))
    assert found.rest is None and "it also reads relu_2" in found.reason
    assert split(tmp_path / "m.npz", Wanted(until=("conv2d_3", "relu_2"))).rest is not None
    assert len(split(tmp_path / "m.npz", Wanted(until="add_4")).host) == 1


def detector(batch="N"):
    """Return a small detection model: two maps, each with heads, joined after a softmax."""
    heads = []
    for name, source, size in (("a", "r1", 36), ("b", "r2", 9)):
        heads += [
            node("Conv", source, f"k{name}", out=f"h{name}"),
            node("Transpose", f"h{name}", out=f"t{name}", perm=[0, 2, 3, 1]),
            node("Shape", f"t{name}", out=f"s{name}"),
            node("Gather", f"s{name}", "zero", out=f"n{name}", axis=0),
            node("Concat", f"n{name}", f"rest{size}", out=f"to{name}", axis=0),
            node("Reshape", f"t{name}", f"to{name}", out=f"f{name}"),
        ]
    return model(
        node("Conv", "x", "k1", out="c1", strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Relu", "c1", out="r1"),
        node("Conv", "r1", "k2", out="c2", strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Relu", "c2", out="r2"),
        *heads,
        node("Concat", "fa", "fb", out="joined", axis=1),
        node("Softmax", "joined", out="scores", axis=2),
        node("Sigmoid", "fb", out="small"),
        shape=(3, 12, 12), batch=batch, outputs=("scores", "small"), zero=ints(0),
        rest36=ints(36, 2), rest9=ints(9, 2), k1=weights(4, 3, 3, 3), k2=weights(6, 4, 3, 3),
        ka=weights(2, 4, 1, 1), kb=weights(2, 6, 1, 1),
    )  # fmt: skip


def outputs(made, images):
    """Return all outputs that onnxruntime computes."""
    runtime = pytest.importorskip("onnxruntime")
    content = made.SerializeToString()
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    size = made.graph.input[0].type.tensor_type.shape.dim[0].dim_value or len(images)
    found = [
        session.run(None, {"x": images[start : start + size]})
        for start in range(0, len(images), size)
    ]
    return [np.concatenate(values) for values in zip(*found, strict=True)]


@pytest.mark.parametrize("batch", ["N", 1, 2])
@pytest.mark.parametrize("runtime", ["onnxruntime", "onnx.reference"])
@pytest.mark.parametrize("until", [("ha", "hb"), ("Conv_ha", "r2"), ("r1",), ("Relu_r1", "fb")])
def test_both_parts_of_an_onnx_file_are_the_whole(tmp_path, monkeypatch, until, runtime, batch):
    if runtime != "onnxruntime":
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
    made, path = detector(batch), tmp_path / "model.onnx"
    path.write_bytes(made.SerializeToString())
    wanted = Wanted(until=until)
    found = split(path, wanted)
    write_rest(found, tmp_path / "rest.onnx")
    images = images_of(detector(4))
    between = parts_of(read_float(path, wanted), images.transpose(0, 2, 3, 1))
    host = load_host(tmp_path / "rest.onnx")
    assert host.outputs == ("scores", "small")
    monkeypatch.undo()
    for result, whole in zip(host.run(between), outputs(made, images), strict=True):
        np.testing.assert_allclose(result, whole, rtol=1e-4, atol=1e-5)
    # No layer is on both sides.
    assert not set(found.chip) & set(found.host)


def test_what_the_rest_reads_as_well_is_named(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(detector().SerializeToString())
    assert cut_onnx(path, Wanted(until="hb")).also == ("r1",)
    found = split(path, Wanted(until="hb"))
    assert found.rest is None
    assert "it also reads r1: end the model there as well, with model.until=r1" in found.reason
    assert split(path, Wanted()) is None and split(path, Wanted(until=("scores", "small"))) is None


def test_an_end_that_the_program_leaves_out_is_refused(tmp_path):
    path = tmp_path / "model.npz"
    graph = chain(conv(4), ("GlobalAveragePooling2D", {}), ("Softmax", {}), ("Dense", {"units": 2}))
    save_graph(path, graph)
    with pytest.raises(ModelError, match=r"softmax_3 .* model.until=globalaveragepooling2d_2"):
        split(path, Wanted(until="softmax_3"))


def test_an_end_of_several_that_the_program_leaves_out_is_refused(tmp_path):
    sigmoid = ("Activation", {"activation": "sigmoid"})
    graph = chain(conv(3), RELU, conv(2), sigmoid, ("Dense", {"units": 2}, ("relu_2",)))
    save_graph(tmp_path / "m.npz", graph.ended(("activation_4", "dense_5")))
    with pytest.raises(ModelError, match=r"activation_4 .* model.until=conv2d_3"):
        split(tmp_path / "m.npz", Wanted(until=("activation_4", "relu_2")))


def several(path):
    """Write a model of two maps and a head; return it."""
    graph = chain(
        conv(8), RELU, ("MaxPooling2D", {"padding": "same"}), conv(6), RELU,
        ("Flatten", {}), ("Activation", {"activation": "tanh"}), ("Dense", {"units": 3}),
        shape=(8, 8, 3),
    )  # fmt: skip
    write_float(path, graph, read_float)
    return graph


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".keras"])
@pytest.mark.parametrize("until", [("relu_5",), ("relu_5", "conv2d_4")])
def test_commands_run_both_parts(tmp_path, suffix, until):
    old, new = tmp_path / f"old{suffix}", tmp_path / f"new{suffix}"
    graph = several(old)
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), np.uint8)
    np.save(tmp_path / "x.npy", images)
    ends = [text for name in until for text in ("--until", name)]
    done = run_main("migrate", old, *ends, "-o", new)
    beside = tmp_path / f"new_rest{suffix if len(until) == 1 else '.npz'}"
    shown = " ".join(done.output.split())
    assert beside.is_file() and f"{beside}: 3 layers for the host" in shown
    run_main("quantize", new, "--samples", tmp_path / "x.npy", "-o", tmp_path / "q.npz")
    run_main("convert", tmp_path / "q.npz", "-o", tmp_path / "p.npz")
    given = ["simulate", tmp_path / "p.npz", tmp_path / "x.npy"]
    run_main(*given, "--host", beside, "-o", tmp_path / "y.npy")
    program = Program.load(tmp_path / "p.npz")
    values = simulate(program, images)
    parts = program.layers[-1].parts(values) if len(until) > 1 else [values]
    (by_hand,) = load_host(beside).run(parts)
    found = np.load(tmp_path / "y.npy")
    assert np.array_equal(found, by_hand)
    whole = forward(graph, images)
    assert np.mean(np.square(found - whole)) < 0.01 * whole.var()
    if len(until) > 1:
        refused = run_main(*given, status=1)
        assert "2 outputs (relu_5, conv2d_4); write them to an .npz" in str(refused.exception)
        run_main(*given, "-o", tmp_path / "parts.npz")
        with np.load(tmp_path / "parts.npz") as saved:
            assert all(map(np.array_equal, saved.values(), parts))


def test_the_certificate_says_what_runs_where(tmp_path):
    several(tmp_path / "old.npz")
    run_main("migrate", tmp_path / "old.npz", "--until", "relu_5", "-o", tmp_path / "new.npz")
    folder = tmp_path / "new_certificate"
    content = json.loads((folder / "certificate.json").read_text())
    assert content["split"]["chip"]["layers"][0] == "conv2d_1 (Conv2D)"
    assert content["split"]["host"]["layers"][-1] == "dense_8 (Dense)"
    assert "What runs where" in (folder / "certificate.html").read_text()
    assert "host's part" in run_main("verify", folder).output
    (tmp_path / "new_rest.npz").write_bytes(b"another")
    assert "FAILED  host's part" in run_main("verify", folder, status=1).output


def test_a_part_of_another_model_is_refused(tmp_path):
    several(tmp_path / "old.npz")
    host = load_host(tmp_path / "old.npz")
    with pytest.raises(DataError, match="takes 192 values for each image, and the program gives 4"):
        host.run([np.zeros((1, 4), np.float32)])
    with pytest.raises(ModelError, match="no such file"):
        load_host(tmp_path / "none.onnx")


def test_a_name_for_a_rest_that_is_not_there_is_refused(tmp_path):
    several(tmp_path / "old.npz")
    given = ("migrate", tmp_path / "old.npz", "-o", tmp_path / "new.npz", "--rest", "r.npz")
    assert isinstance(run_main(*given, status=1).exception, ConfigError)
    found = run_main(*given[:-1], "r.keras", "--until", "relu_5", "--until", "conv2d_4", status=1)
    assert "Keras lacks a layer of the rest" in str(found.exception)


def run_main(name, *arguments, status=0):
    import importlib

    done = run(importlib.import_module(f"pipeline.cli.{name}").command, *arguments)
    assert done.exit_code == status, done.output + str(done.exception)
    return done
