from dataclasses import replace

import numpy as np
import pytest

from pipeline.config import Calibration, Quantization, Transforms
from pipeline.graph.forward import forward
from pipeline.preparation import prepare
from pipeline.quantization import refine
from pipeline.quantization.assignment import assign
from pipeline.quantization.calibrated_graph import NodeQuantization
from pipeline.quantization.calibration import calibrate
from pipeline.quantization.integerize import integerize
from pipeline.quantization.quantize import quantize
from pipeline.quantization.refine import frontier, kernels, layer, refinement
from pipeline.quantization.refine.cost import cost
from pipeline.quantization.refine.frontier import Frontier
from pipeline.quantization.refine.integer_forward import run_nodes
from pipeline.quantization.refine.layer import Rows, refine_layer
from pipeline.quantization.refine.rows import draw, kernel_matrix
from pipeline.quantization.refine.steps import steps
from pipeline.transforms import apply
from tests.pipeline.quantization.graphs import RELU, chain, conv

DEPTHWISE = ("DepthwiseConv2D", {"kernel_size": 3, "padding": "same"})
HALF = ("Rescaling", {"scale": 1 / 127.5, "offset": -1.0})
GAP = ("GlobalAveragePooling2D", {})
NET = [HALF, conv(6), ("ReLU", {}), DEPTHWISE, ("ReLU", {}), conv(8, 1), ("ReLU", {}), GAP]
NET += [("Dense", {"units": 5})]
OPTIONS = Quantization(
    weight_bits=4, activation_bits=4, refine="layers", calibration=Calibration(batch_size=20)
)


def pictures(count, seed=0, size=8):
    """Return smooth images: neighbouring pixels go together, as in photographs."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 3, 3, 3)).astype(float)
    rows = np.linspace(0, 1.99, size)
    low, part = rows.astype(int), rows % 1
    part = part[:, None]
    tall = coarse[:, low] * (1 - part[..., None]) + coarse[:, low + 1] * part[..., None]
    wide = tall[:, :, low] * (1 - part) + tall[:, :, low + 1] * part
    return wide.astype(np.uint8)


def outputs(quantized, images):
    image, *nodes = quantized.nodes
    return run_nodes(nodes, {image.name: images})[quantized.output].reshape(len(images), -1)


def noise(graph, quantized, images):
    wanted = forward(prepare(graph)[0], images).reshape(len(images), -1)
    return np.square(outputs(quantized, images) - wanted).mean() / wanted.var(axis=0).mean()


def registers(quantized):
    return {
        f"{node.name}/{key}": value
        for node in quantized.nodes
        for key, value in node.registers.items()
    }


def equal(first, second):
    first, second = registers(first), registers(second)
    return first.keys() == second.keys() and all(
        np.array_equal(first[key], second[key]) for key in first
    )


def note(quantized):
    (found,) = (n for n in quantized.notes if n.kind == "refined" and not n.is_warning)
    return found.text


@pytest.mark.parametrize("per_tensor", [False, True])
@pytest.mark.parametrize(("weights", "activations"), [(2, 4), (4, 4), (4, 8), (8, 8)])
def test_refined_models_are_closer_on_images_that_were_never_seen(weights, activations, per_tensor):
    graph, samples, tests = chain(*NET, shape=(8, 8, 3)), pictures(200), pictures(200, seed=1)
    options = replace(
        OPTIONS,
        weight_bits=weights,
        activation_bits=activations,
        per_tensor_activations=per_tensor,
    )
    plain = quantize(graph, samples, replace(options, refine="none"))
    refined = quantize(graph, samples, options)
    assert note(refined).startswith("refined on 160 images")
    assert noise(graph, refined, tests) < 0.6 * noise(graph, plain, tests)


def test_the_same_samples_give_the_same_integers():
    graph, samples = chain(*NET, shape=(8, 8, 3)), pictures(60)
    first, second = (quantize(graph, samples, OPTIONS) for _ in range(2))
    assert equal(first, second)


def test_explicit_scales_keep_integers_that_do_not_reach_the_largest_one():
    rng = np.random.default_rng(0)
    graph = chain(*NET, shape=(8, 8, 3))
    prepared, _ = prepare(graph)
    calibrated = calibrate(prepared, assign(prepared, OPTIONS), pictures(40), OPTIONS)
    for name, filters in (("conv2d_6", 8), ("depthwiseconv2d_4", 6)):
        node = calibrated.graph.node(name)
        integers = rng.integers(-4, 5, node.weights["kernel"].shape)
        scales = rng.uniform(0.01, 2, filters).astype(np.float32)
        shape = scales[:, None] if name.startswith("depth") else scales
        changed = node.with_weights(kernel=(integers * shape).astype(np.float32))
        nodes = (changed if old is node else old for old in calibrated.graph.nodes)
        settings = replace(calibrated.nodes[name], weight_scales=scales)
        given = replace(
            calibrated,
            graph=calibrated.graph.with_nodes(nodes),
            nodes={**calibrated.nodes, name: settings},
        )
        np.testing.assert_array_equal(registers(integerize(given))[f"{name}/kernel"], integers)
        without = replace(given, nodes=calibrated.nodes)
        assert not np.array_equal(registers(integerize(without))[f"{name}/kernel"], integers)


def test_none_is_the_default_of_the_code_and_leaves_no_scales():
    assert Quantization().refine == "none"
    assert NodeQuantization().weight_scales is None


def test_rows_hold_the_padding_value():
    graph = chain(conv(4), shape=(4, 4, 3))
    node = graph.node("conv2d_1").with_attrs(padding_value=(7.0, 8.0, 9.0))
    x = np.zeros((2, 4, 4, 3), np.float32)
    y = np.zeros((2, 4, 4, 4), np.float32)
    rows = draw(node, [(x, y)], 100, np.random.default_rng(0))[0]
    corner = rows[0, 0].reshape(3, 3, 3)
    np.testing.assert_array_equal(corner[0, 0], [7, 8, 9])
    np.testing.assert_array_equal(corner[1, 1], [0, 0, 0])


@pytest.mark.parametrize(
    "layer_form", [conv(5, 3, strides=2), DEPTHWISE, conv(4, 1), ("Dense", {"units": 4})]
)
def test_rows_times_matrix_are_the_sums(layer_form):
    graph = chain(layer_form, shape=(6, 6, 3))
    node, x = graph.nodes[1], pictures(3, size=6).astype(np.float32)
    y = node.operation.forward(node.with_weights(bias=np.zeros_like(node.weights["bias"])), x)
    rows, targets = draw(node, [(x, y)], 1000, np.random.default_rng(0))
    found = rows @ kernel_matrix(node)
    np.testing.assert_allclose(found, targets, rtol=1e-4, atol=1e-2)


def test_a_fit_that_memorises_is_not_taken():
    """Few images with noisy targets: the strong fits are wrong elsewhere, and are refused."""
    rng = np.random.default_rng(0)
    node = chain(("Dense", {"units": 8}), shape=(64,), dtype="float32").nodes[1]
    matrix, bias = kernel_matrix(node), node.weights["bias"][None]

    def rows(count, noise):
        x = rng.normal(size=(1, count, 64)).astype(np.float32)
        wrong = noise * rng.normal(size=(1, count, 8))
        return Rows(x, (x @ matrix + bias + wrong).astype(np.float32))

    fit, held = rows(48, 6.0), rows(400, 0.0)
    choice = refine_layer(node, 8, fit, held)
    plain = layer._plain(node, 8)
    assert choice.error <= held.error(plain, bias)
    memorised = refine_layer(node, 8, fit, fit)
    wrong = held.error(kernel_matrix(memorised.node), memorised.node.weights["bias"][None])
    assert wrong > 100 * max(choice.error, held.error(plain, bias))


def test_a_model_that_memorises_is_not_taken(monkeypatch):
    """Planted: layers are chosen by the images that they were fitted on, too few of them."""
    graph, samples = chain(*NET, shape=(8, 8, 3)), pictures(20)

    def spoiled(node, bits, fit, held):
        kernel = node.weights["kernel"] + np.float32(0.5)
        return layer.Choice(node.with_weights(kernel=kernel), 0.0)

    monkeypatch.setattr(kernels, "refine_layer", spoiled)
    options = replace(OPTIONS, weight_bits=8, activation_bits=8)
    quantized = quantize(graph, samples, options)
    assert note(quantized).startswith("not refined, which would not help")
    assert equal(quantized, quantize(graph, samples, replace(options, refine="none")))


@pytest.mark.parametrize("count", [2, 9])
def test_too_few_images_leave_the_model_as_it_is(count):
    graph, samples = chain(*NET, shape=(8, 8, 3)), pictures(count)
    quantized = quantize(graph, samples, OPTIONS)
    assert "at least 10" in note(quantized)
    assert equal(quantized, quantize(graph, samples, replace(OPTIONS, refine="none")))


def test_few_images_are_warned_of_and_random_ones_not_used():
    graph = chain(*NET, shape=(8, 8, 3))
    quantized = quantize(graph, pictures(60), OPTIONS)
    assert any("only 60 calibration images" in n.text for n in quantized.notes if n.is_warning)
    random = quantize(graph, None, OPTIONS)
    assert "random samples" in note(random)


JOIN = ("Add", {}, ("relu_2", "relu_4"))
NETS = {
    "residual": [conv(4), ("ReLU", {}), conv(4), ("ReLU", {}), JOIN, conv(5), GAP],
    "swish": [conv(4), ("Activation", {"activation": "swish"}), conv(4), ("ReLU", {}), GAP],
    "transposed": [
        conv(4, strides=2),
        ("ReLU", {}),
        ("Conv2DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}),
        ("ReLU", {}),
        conv(2, 1),
    ],
    "flatten": [conv(4), RELU, ("MaxPooling2D", {"pool_size": 2}), ("Flatten", {})],
    "separable": [conv(4), RELU, ("SeparableConv2D", {"filters": 6, "kernel_size": 3}), GAP],
}


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("name", NETS)
def test_every_topology_is_refined_or_kept(name, dtype):
    graph = chain(*NETS[name], ("Dense", {"units": 5}), shape=(8, 8, 3), dtype=dtype)
    samples, tests = pictures(120), pictures(100, seed=1)
    if dtype == "float32":
        samples, tests = (images.astype(dtype) / 64 - 1 for images in (samples, tests))
    plain = quantize(graph, samples, replace(OPTIONS, refine="none"))
    refined = quantize(graph, samples, OPTIONS)
    assert noise(graph, refined, tests) < noise(graph, plain, tests)


@pytest.mark.parametrize("attrs", [{"dilation_rate": 2}, {"groups": 2}, {"groups": 4}])
def test_expanded_dilations_and_groups_are_refined(attrs):
    layers = [conv(4), RELU, conv(8, **attrs), RELU, GAP, ("Dense", {"units": 5})]
    graph, samples, tests = chain(*layers, shape=(8, 8, 3)), pictures(120), pictures(100, seed=1)
    graph, _ = apply(graph, Transforms(names=("expand_dilation", "expand_groups")), samples[:8])
    plain = quantize(graph, samples, replace(OPTIONS, refine="none"))
    refined = quantize(graph, samples, OPTIONS)
    assert noise(graph, refined, tests) < 0.8 * noise(graph, plain, tests)


def test_memory_is_bounded_and_late_layers_see_every_image(monkeypatch):
    graph, samples = chain(*NET, shape=(8, 8, 3)), pictures(120)
    whole = quantize(graph, samples, OPTIONS)
    seen = []
    prepare_step = Frontier.prepare

    def watched(self, step):
        prepare_step(self, step)
        held = sum(array.nbytes for array in (*self.floats.values(), *self.integers.values()))
        seen.append((step[0].op, self.count, held))

    monkeypatch.setattr(Frontier, "prepare", watched)
    monkeypatch.setattr(frontier, "MEMORY", 100_000)
    bounded = quantize(graph, samples, OPTIONS)
    assert max(held for *_, held in seen) <= 100_000
    counts = {op: count for op, count, _ in seen[::2]}
    assert counts["DepthwiseConv2D"] < 96 and counts["Dense"] == 96
    tests = pictures(100, seed=1)
    assert noise(graph, bounded, tests) < 2 * noise(graph, whole, tests)


@pytest.mark.parametrize("scheme", ["quantizeml", "cnn2snn"])
def test_progress_follows_the_cost_of_layers(scheme):
    layers = [conv(32, 7), RELU, conv(4, 1), RELU, ("Flatten", {}), ("Dense", {"units": 3})]
    graph, seen = chain(*layers, shape=(16, 16, 3)), []
    options = replace(OPTIONS, scheme=scheme)
    quantize(graph, pictures(50, size=16), options, lambda done, total: seen.append(done / total))
    assert seen == sorted(seen) and seen[0] > 0 and seen[-1] == 1
    parts = np.diff([share for share in seen if share >= 0.1])
    assert max(parts) > 0.2 and max(parts) > 10 * min(parts)


def test_costs_of_steps_add_up_to_those_of_their_nodes():
    for net in NETS.values():
        graph, _ = prepare(chain(*net, ("Dense", {"units": 5}), shape=(8, 8, 3)))
        cut = steps(graph, assign(graph, OPTIONS).nodes)
        whole = sum(cost(graph, (node,), 100) for node in graph.nodes)
        assert 0.999 * whole < sum(cost(graph, step, 100) for step in cut) <= whole


def test_steps_cover_every_node_once_and_in_order():
    for net in NETS.values():
        graph, _ = prepare(chain(*net, ("Dense", {"units": 5}), shape=(8, 8, 3)))
        cut = steps(graph, assign(graph, OPTIONS).nodes)
        done = []
        for step in cut:
            assert set(step[0].inputs) <= set(done)
            done += [node.name for node in step]
        assert sorted(done) == sorted(node.name for node in graph.nodes)


def test_a_clearly_lost_class_counts_and_a_single_image_does_not():
    same = np.ones(100, bool)
    before = refinement.Quality(2.0, 10.0, same)
    one, many = same.copy(), same.copy()
    one[0], many[:10] = False, False
    assert refinement._better(before, refinement.Quality(1.0, 10.0, one))
    assert not refinement._better(before, refinement.Quality(1.0, 10.0, many))
    assert not refinement._better(before, refinement.Quality(2.0, 10.0, same))
    assert refine.refine is refinement.refine
