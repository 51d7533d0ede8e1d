"""The part of a model that is proposed for the chip can be carried, and is the largest."""

import json
from collections import Counter

import numpy as np
import pytest

from conformance.agreement_models import random_model
from pipeline.chips import convert
from pipeline.chips.check import check
from pipeline.config import Calibration, Quantization
from pipeline.graph.archive import save_graph
from pipeline.graph.build import make_node
from pipeline.graph.macs import count_macs
from pipeline.host.proposal import ENDING, MOVES, propose, propose_for
from pipeline.host.rest_graph import ancestors, frontier
from pipeline.host.split import split
from pipeline.migration import migrate
from pipeline.models.file import read_float
from pipeline.models.wanted import Wanted
from pipeline.preparation.verification import random_images
from pipeline.quantization.quantize import quantize
from simulator import simulate
from tests.pipeline.chips.models import NO
from tests.pipeline.host.test_split import detector, run_main
from tests.pipeline.importers.keras_files import conv as keras_conv
from tests.pipeline.importers.keras_files import functional, image, layer, write_h5
from tests.pipeline.importers.onnx_models import model, node, weights
from tests.pipeline.quantization.graphs import RELU, chain, conv

SEEDS = 60


def gated(graph, rng, *, wide):
    """Return a model with a gate: of what it is made of or, if `wide`, of two convolutions."""
    maps = [n.name for n in graph.nodes[1:] if len(graph.shapes[n.name]) == 3]
    if not maps:
        return graph
    source = maps[rng.integers(len(maps))]
    channels = graph.shapes[source][-1]
    attrs = {"filters": channels, "kernel_size": 3, "padding": "same", "use_bias": False}
    kernel = {"kernel": rng.normal(size=(3, 3, channels, channels))}
    added = [make_node("mask", "Activation", (source,), {"activation": "sigmoid"})]
    if wide:
        added = [make_node(name, "Conv2D", (source,), attrs, kernel) for name in ("a", "b")]
    gate = make_node("gate", "Multiply", (*(n.name for n in added), source)[:2])
    nodes = []
    for each in graph.nodes:
        inputs = ("gate" if name == source else name for name in each.inputs)
        nodes.append(each.with_inputs(*inputs))
        nodes += [*added, gate] if each.name == source else []
    return graph.with_nodes(nodes, "gate" if graph.output == source else graph.output)


def larger_parts(graph, until):
    """Yield the parts that end in one layer for a chip, and are larger than a proposal."""
    least = len(ancestors(graph, until))
    for each in graph.nodes:
        before = ancestors(graph, [each.name])
        single = frontier(graph, before) == [each.name] and each.op not in MOVES
        if single and len(before) > least and each.attrs.get("activation") not in ENDING:
            yield graph.ended([each.name])


@pytest.mark.slow
def test_proposals_for_random_models_can_be_carried():
    seen = Counter()
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        whole = random_model(seed, "akida_v2")
        whole = gated(whole, rng, wide=seed % 3 == 2) if seed % 3 else whole
        if check(whole, "akida_v2").verdict != NO:
            seen["carried whole"] += 1
            continue
        found = propose(whole, "akida_v2")
        if found is None or len(found.until) == 1:
            for part in larger_parts(whole, found.until if found else [whole.input.name]):
                assert not count_macs(part) or check(part, "akida_v2").verdict == NO, seed
        if found is None:
            seen["nothing"] += 1
            continue
        part = whole.ended(found.until)
        assert found.layers == len(ancestors(whole, found.until)) - 1 < found.total
        images = random_images(part, 4)
        after = migrate(part, "akida_v2", images).after
        options = Quantization(
            per_tensor_activations=True, calibration=Calibration(samples=4, batch_size=1)
        )
        program = convert(quantize(after, images, options), "akida_v2")
        given = random_images(after, 2).astype(program.input_dtype)
        assert np.isfinite(simulate(program, given)).all()
        seen["several" if len(found.until) > 1 else "one"] += 1
    assert min(seen[key] for key in ("one", "several", "carried whole")) >= 5, seen


@pytest.mark.parametrize("target", ["akida_v1", "akida_v2"])
def test_a_chain_is_carried_up_to_what_is_refused(target):
    sigmoid = ("Activation", {"activation": "sigmoid"})
    graph = chain(conv(4), RELU, conv(6), RELU, sigmoid, conv(5), RELU, ("Flatten", {}))
    found = propose(graph, target)
    assert found.until == ("relu_4",) and (found.layers, found.total) == (4, 8)
    assert 0 < found.macs < 1
    assert "model.until=relu_4 carries 4 of 8 layers" in str(found)


def test_several_outputs_where_that_is_much_more():
    graph = chain(
        conv(4), RELU, conv(8), (*conv(8), ("relu_2",)), ("Multiply", {}, ("conv2d_3", "conv2d_4"))
    )
    assert propose(graph, "akida_v2").until == ("conv2d_3", "conv2d_4")
    assert propose(graph, "akida_v1").until == ("relu_2",)


def lambda_model(path, *, second=False):
    """Write a Keras file with a Lambda, or with two inputs, after two convolutions."""
    weighted = {key: {} for key in ("r", "end", "more")}
    for name, channels in (("a", 2), ("b", 3)):
        weighted[name] = {"kernel": weights(3, 3, channels, 3), "bias": weights(3)}
    layers = [image(), keras_conv("a", "image"), layer("ReLU", "r", "a"), keras_conv("b", "r")]
    if second:
        layers.insert(1, image("second", (6, 6, 3)))
        layers.append(layer("Add", "end", "b", "second"))
    else:
        layers.append(layer("Lambda", "end", "b", function="code"))
        layers.append(layer("Activation", "more", "end", activation="tanh"))
    config = functional(layers)
    if second:
        config["config"]["input_layers"].append(["second", 0, 0])
    write_h5(path, config, weighted)


@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize("command", ["check", "migrate"])
def test_files_that_cannot_be_read_whole(tmp_path, command, second):
    path = tmp_path / "model.h5"
    lambda_model(path, second=second)
    output = ["-o", tmp_path / "new.h5"]
    refused = run_main(command, path, *(output if command == "migrate" else []), status=1)
    text = str(refused.exception)
    assert ("found 2 inputs" if second else "Lambda layers are refused") in text
    assert f"carries 3 of {4 if second else 5} layers to akida_v2" in text
    assert "--until b" in text and not (tmp_path / "new.h5").exists()
    done = run_main("migrate", path, "--until", "b", *output)
    assert 'keras.Model(model.get_layer("b").output, model.output)' in " ".join(done.output.split())
    assert (tmp_path / "new.h5").is_file()


def test_onnx_files_name_all_nodes_of_both_kinds(tmp_path):
    path = tmp_path / "model.onnx"
    made = model(
        node("Conv", "x", "k", out="c"), node("Relu", "c", out="r"),
        node("LRN", "r", out="n", size=3), node("Sigmoid", "r", out="s"),
        node("Conv", "s", "l", out="d"), node("Add", "d", "n", out="y"),
        shape=(3, 8, 8), k=weights(4, 3, 1, 1), l=weights(4, 4, 1, 1),
    )  # fmt: skip
    path.write_bytes(made.SerializeToString())
    text = str(run_main("check", path, status=1).exception)
    assert "LRN_n (LRN)" in text and "Sigmoid_s: sigmoid" in text
    assert "--until Relu_r carries 2 of 6 layers to akida_v2" in text


def test_a_proposal_is_in_the_report(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(detector().SerializeToString())
    report = run_main("check", path, status=1)
    assert "proposal\n" in report.output and "(100% of the MACs)" in report.output
    found = json.loads(run_main("check", path, "--json", status=1).stdout)["proposal"]
    assert found["until"] == ["Conv_ha", "Conv_hb"]
    ends = [text for name in found["until"] for text in ("--until", name)]
    run_main("migrate", path, *ends, "-o", tmp_path / "new.h5")
    assert (tmp_path / "new_rest.onnx").is_file()


def test_nothing_is_proposed_where_the_first_layer_is_refused(tmp_path):
    graph = chain(("Activation", {"activation": "sigmoid"}), conv(4), dtype="float32")
    save_graph(tmp_path / "m.npz", graph)
    assert propose(graph, "akida_v2") is None
    assert "proposal" not in run_main("check", tmp_path / "m.npz", status=1).output


@pytest.mark.parametrize("moves", [[], ["Dropout"], ["Dropout", "Flatten"]])
@pytest.mark.parametrize("target", ["akida_v1", "akida_v2"])
def test_nothing_is_proposed_of_layers_that_only_move_values(moves, target):
    """A file whose first layer with values cannot be read, such as a CenterCrop."""
    assert propose(chain(*((op, {}) for op in moves)), target) is None


@pytest.mark.parametrize("kind", ["sigmoid", "softmax", "tanh", "relu"])
@pytest.mark.parametrize("command", ["--until a", "--until a --until b"])
def test_a_layer_of_a_file_ends_before_its_activation_for_the_host(tmp_path, kind, command):
    """The names of a proposal are those of nodes: of a layer, its sums; the host does the rest."""
    layers = [
        image(dtype="float32"),
        keras_conv("b", "image", activation="relu"),
        keras_conv("a", "b", activation=kind),
        layer("Reshape", "moved", "a", target_shape=[3, 6, 6]),
    ]
    weighted = {
        name: {"kernel": weights(3, 3, channels, 3), "bias": weights(3)}
        for name, channels in (("b", 2), ("a", 3))
    }
    path = write_h5(tmp_path / "m.h5", functional(layers), weighted | {"moved": {}})
    whole = read_float(path)
    ends = command.replace("--until", "").split()
    part = split(path, Wanted(until=ends))
    host = ["a_activ (Activation)", "a_activ (Softmax)", "moved (Reshape)"]
    assert set(part.host) <= set(host[2:] if kind == "relu" else host)
    assert len(part.host) == (1 if kind == "relu" else 2)
    read = read_float(path, Wanted(until=ends))
    assert read.ends[0].name == ("a_activ" if kind == "relu" else "a")
    if len(ends) > 1:
        assert read.ends[1].name == "b_activ"
    elif kind != "relu":
        assert part.rest is not None
        found = propose_for(whole, path, Wanted(), "akida_v2")
        assert found is not None and found.until == ("a",)
        done = run_main("migrate", path, "--until", "a", "-o", tmp_path / "new.h5")
        assert "2 layers for the host" in " ".join(done.output.split())


def test_a_whole_model_keeps_its_last_activation(tmp_path):
    layers = [image(dtype="float32"), keras_conv("a", "image", activation="sigmoid")]
    weighted = {"a": {"kernel": weights(3, 3, 2, 3), "bias": weights(3)}}
    path = write_h5(tmp_path / "m.h5", functional(layers), weighted)
    assert read_float(path, Wanted(until="a")).output == read_float(path).output == "a_activ"
