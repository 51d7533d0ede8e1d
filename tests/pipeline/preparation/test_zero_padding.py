"""Zero padding is folded if and only if the window's own padding gives the same outputs."""

from collections import Counter
from contextlib import suppress

import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.graph.build import make_node
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.preparation import align_rescaling, fold_zero_padding
from pipeline.preparation.nonnegative import is_nonnegative
from pipeline.preparation.verification import random_images, verified
from pipeline.preparation.zero_padding import enlarged, padding_obstacle
from tests.pipeline.graph.chains import chain

CONV = {"filters": 4, "kernel_size": 3}
RELU = ("ReLU", {"max_value": 6.0})
OPS = ("Conv2D", "DepthwiseConv2D", "SeparableConv2D", "MaxPooling2D")


def ops(graph):
    return [node.op for node in graph.nodes[1:]]


def pad(*amounts):
    return "ZeroPadding2D", {"padding": amounts}


def draw(rng):
    """Return a random map, padding and window, with random layers before and after."""

    def one(*values):
        return values[rng.integers(len(values))]

    op = one(*OPS)
    window = {"strides": tuple(map(int, rng.integers(1, 4, 2))), "padding": one("valid", "same")}
    key = "pool_size" if op == "MaxPooling2D" else "kernel_size"
    window[key] = tuple(map(int, rng.integers(1, 8, 2)))
    if op != "MaxPooling2D" and rng.random() < 0.2:
        window |= {"dilation_rate": one(1, 2, 3), "strides": 1, key: one(2, 3)}
    if op in ("Conv2D", "SeparableConv2D"):
        window["filters"] = 4
    if op == "Conv2D" and rng.random() < 0.2:
        window["groups"] = 2
    height, width = map(int, rng.integers(4, 10, 2))
    kind = one("centred", "last row", "any")
    amounts = tuple((one(0, 0, 1, 2), one(0, 1, 1, 2, 3)) for _ in range(2))
    if kind != "any":
        window.pop("dilation_rate", None)
    if kind == "centred":  # As PyTorch pads.
        size = int(rng.integers(1, 8))
        window |= {key: size, "strides": int(rng.integers(1, 3)), "padding": "valid"}
        amounts = ((size // 2, size // 2),) * 2
    if kind == "last row":  # Windows need not read all of it.
        window |= {key: one(2, 3), "strides": one(2, 2, 3)}
        height, width, amounts = height, height, ((0, 1), (0, 1))
    before = one([], [RELU], [RELU, ("Dropout", {})], [("BatchNormalization", {})])
    between = one([], [], [("Dropout", {})], [RELU], [pad((1, 0), (0, 1))] * (kind == "any"))
    after = one([], [], [("ReLU", {})], [("Dropout", {}), RELU])
    return (height, width, 2), before, [pad(*amounts), *between], (op, window), after


def candidates(graph):
    """Yield every graph in which the window itself pads, with the same outputs or not."""
    window = next(node for node in graph.nodes if node.op in OPS)
    bare = graph.rewrite(lambda node: [] if node.op == "ZeroPadding2D" else None)
    variants = [window.with_attrs(padding=padding) for padding in ("same", "valid")]
    kernel = window.attrs.get("kernel_size", (7, 7))
    for extra in range(1, 8 - max(kernel)):
        if all((k + extra) % 2 for k in kernel) and window.attrs["dilation_rate"] == (1, 1):
            variants += [
                enlarged(window, (top, extra - top), (left, extra - left)).with_attrs(
                    padding="same"
                )
                for top in range(extra + 1)
                for left in range(extra + 1)
            ]
    for variant in variants:
        new = variant.with_inputs(*bare.node(window.name).inputs)
        nodes = (new if node.name == window.name else node for node in bare.nodes)
        with suppress(ModelError):  # The window no longer fits its map.
            found = bare.with_nodes(nodes)
            assert found.shapes
            yield found


def alike(graph, other, images):
    """Return True if two graphs agree on a few images, on which most different graphs differ."""
    if graph.shapes[graph.output] != other.shapes[other.output]:
        return False
    return all(
        np.allclose(forward(graph, part), forward(other, part), rtol=1e-5, atol=1e-5)
        for part in (images[:4], images)
    )


def revealing_images(shape, rng):
    """Return images with one bright pixel each, on a dark, a bright and a mixed ground."""
    count = shape[0] * shape[1]
    ground = rng.normal(size=(count, *shape)) + rng.choice([-4, 0, 4], size=(count, 1, 1, 1))
    index = np.arange(count)
    ground[index, index // shape[1], index % shape[1]] += 9
    return ground.astype(np.float32)


def test_random_geometries_fold_exactly_where_some_own_padding_is_equal():
    rng, seen = np.random.default_rng(0), Counter()
    for number in range(400):
        shape, before, padding, window, after = draw(rng)
        layers = [*before, *padding, window, *after]
        try:
            graph = chain(shape, *layers, seed=number)
            assert graph.shapes
        except ModelError:  # A window larger than its map.
            continue
        images = revealing_images(shape, rng)
        new = fold_zero_padding(graph)
        left = "ZeroPadding2D" in ops(new)
        assert fold_zero_padding(new) is new or left
        if left:
            node = next(node for node in new.nodes if node.op == "ZeroPadding2D")
            found, allowed, fix = padding_obstacle(new, node)
            assert found and allowed and fix
            assert not any(alike(graph, other, images) for other in candidates(graph)), layers
        else:
            assert alike(graph, new, images), layers
        grown = window[0] != "MaxPooling2D" and new.parameters > graph.parameters
        mode = "stays" if left else "grown" if grown else _own(new)
        # A padding of no pixels goes anyway.
        seen[window[0], mode] += left or bool(np.any(graph.nodes[1 + len(before)].attrs["padding"]))
        seen[window[0], "after padding of its own"] += not left and window[1]["padding"] == "same"
    modes = ("stays", "same", "valid", "grown", "after padding of its own")
    missing = [(op, mode) for op in OPS for mode in modes if seen[op, mode] < 3]
    assert missing == [("MaxPooling2D", "grown")], seen


def _own(graph):
    return next(node.attrs["padding"] for node in graph.nodes if node.op in OPS)


def test_centred_padding_of_stride_2_needs_a_larger_kernel():
    layers = pad((1, 1), (1, 1)), ("Conv2D", {**CONV, "strides": 2})
    for size, kernel in ((8, 5), (7, 3)):
        node = fold_zero_padding(chain((size, size, 2), *layers)).nodes[-1]
        assert (node.attrs["kernel_size"], node.attrs["padding"]) == ((kernel, kernel), "same")


def reason(*layers, shape=(16, 16, 3)):
    graph = chain(shape, *layers)
    new = fold_zero_padding(graph)
    node = next(node for node in new.nodes if node.op == "ZeroPadding2D")
    return "; ".join(padding_obstacle(new, node))


def test_unfolded_layers_have_a_reason():
    stem = pad((8, 8), (8, 8)), ("Conv2D", {"filters": 2, "kernel_size": 17, "strides": 2})
    assert reason(*stem) == (
        "padding ((8,8),(8,8)) before n1, 17x17 of stride 2x2; ((7,8),(7,8)), as padding 'same'"
        " does on 16x16, or what a kernel grown to 17x17 can take in; give n1 padding 'same' and"
        " retrain"
    )
    pool = ("MaxPooling2D", {"pool_size": 3, "strides": 2})
    assert reason(RELU, pad((1, 1), (1, 1)), pool) == (
        "padding ((1,1),(1,1)) before n2, 3x3 of stride 2x2; ((0,1),(0,1)), as padding 'same' does"
        " on 16x16; give n2 padding 'same' and retrain"
    )
    assert reason(("Conv2D", CONV), pad((0, 1), (0, 1)), pool) == (
        "n2 compares with the zeros, and n0 may be negative; values of at least 0 (after a ReLU),"
        " or a ReLU after the pooling; pool with padding 'same' and retrain"
    )
    assert reason(pad((1, 1), (1, 1)), ("Flatten", {})).startswith("before n1 (Flatten); a convol")
    assert reason(("ReLU", {}), pad((1, 1), (1, 1))).startswith("it ends the model; a convolution")


def test_each_consumer_is_folded_by_itself():
    graph = chain((8, 8, 2), RELU, pad((1, 1), (1, 1)), ("Conv2D", {**CONV, "strides": 1}))
    source = graph.nodes[-1]
    other = make_node("b", "Conv2D", source.inputs, source.attrs, source.weights)
    pool = make_node("p", "MaxPooling2D", source.inputs, {"pool_size": 3, "strides": 1})
    last = make_node("c", "Concatenate", ["n2", "b", "p"])
    new = fold_zero_padding(Graph("m", [*graph.nodes, other, pool, last], "c"))
    assert ops(new) == ["ReLU", "Conv2D", "Conv2D", "MaxPooling2D", "Concatenate"]
    flat = make_node("f", "AveragePooling2D", source.inputs, {"pool_size": 3, "strides": 1})
    last = make_node("c", "Concatenate", ["n2", "b", "f"])
    mixed = Graph("m", [*graph.nodes, other, flat, last], "c")
    new = verified(fold_zero_padding, mixed, random_images(mixed))
    assert [node.name for node in new.consumers("n1")] == ["f"]


def test_paddings_without_consumers():
    graph = chain((8, 8, 2), RELU, pad((1, 1), (1, 1)), ("Conv2D", CONV))
    dead = make_node("dead", "ZeroPadding2D", ["n0"], {"padding": ((3, 3), (3, 3))})
    new = fold_zero_padding(graph.with_nodes([*graph.nodes, dead], "n2"))
    assert ops(new) == ["ReLU", "Conv2D"]
    alone = chain((8, 8, 2), RELU).with_nodes([*chain((8, 8, 2), RELU).nodes, dead], "n0")
    assert padding_obstacle(alone, dead).found == "nothing reads it"


def test_rescaling_before_zero_padding_is_aligned():
    graph = chain(
        (6, 6, 3),
        ("Rescaling", {"scale": 0.01, "offset": -1.0}),
        pad((1, 1), (1, 1)),
        ("Conv2D", {"filters": 2, "kernel_size": 3}),
        dtype="uint8",
    )
    after = verified(align_rescaling, fold_zero_padding(graph), random_images(graph))
    assert after.nodes[-1].attrs["padding_value"] == (1.0,)


@pytest.mark.parametrize(
    ("layers", "dtype", "expected"),
    [
        ([], "uint8", True),
        ([], "float32", False),
        ([("Rescaling", {"scale": 2.0, "offset": (0.0, 1.0)})], "uint8", True),
        ([("Rescaling", {"scale": 2.0, "offset": -1.0})], "uint8", False),
        ([("Rescaling", {"scale": -2.0})], "uint8", False),
        ([("ReLU", {}), ("MaxPooling2D", {}), ("Dropout", {})], "float32", True),
        ([("ReLU", {"negative_slope": 0.1})], "float32", False),
        ([("ReLU", {"threshold": -1.0})], "float32", False),
        ([("ReLU", {"threshold": 1.0})], "float32", True),
        ([("LeakyReLU", {})], "float32", False),
        ([("Activation", {"activation": "sigmoid"})], "float32", True),
        ([("Activation", {"activation": "swish"})], "float32", False),
        ([("ReLU", {}), ("BatchNormalization", {})], "float32", False),
    ],
)
def test_nonnegative_tensors_are_known_by_their_structure(layers, dtype, expected):
    graph = chain((4, 4, 2), *layers, dtype=dtype)
    assert is_nonnegative(graph, graph.output) is expected
    if expected:
        assert forward(graph, random_images(graph)).min() >= 0
