"""Tail of a model as a separate model."""

import numpy as np

from pipeline.graph.architecture import build_graph
from pipeline.graph.forward import forward
from pipeline.transforms.gap.tail import tail, tails, with_tail

LAYERS = [
    {"Conv2D": {"name": "a", "filters": 3, "kernel_size": 3, "padding": "same"}},
    {"ReLU": {"name": "b"}},
    {"Conv2D": {"name": "c", "filters": 3, "kernel_size": 1}},
    {"GlobalAveragePooling2D": {"name": "d"}},
    {"Dense": {"name": "e", "units": 2}},
]
ADDED = [*LAYERS[:3], {"Add": {"name": "sum", "inputs": ["b", "c"]}}, *LAYERS[3:]]
IMAGES = np.random.default_rng(0).integers(0, 256, (300, 4, 4, 2), np.uint8)


def model(layers):
    return build_graph({"name": "net", "input": {"shape": [4, 4, 2]}, "layers": layers}, seed=1)


def test_a_tail_computes_the_same_as_the_model():
    graph = model(ADDED)
    with tails((graph, graph), "b", IMAGES) as ((part, _), images):
        assert [node.name for node in part.nodes] == ["b", "c", "sum", "d", "e"]
        assert images.shape == (300, 4, 4, 3)
        np.testing.assert_array_equal(forward(part, images), forward(graph, IMAGES))
        # Some of the images, as an ordinary array would give them.
        np.testing.assert_array_equal(forward(part, images[::7]), forward(graph, IMAGES)[::7])


def test_a_changed_tail_takes_its_place():
    graph = model(LAYERS)
    part = tail(graph, "b")
    node = part.node("e").with_weights(kernel=2 * part.node("e").weights["kernel"])
    part = part.with_nodes(node if old.name == "e" else old for old in part.nodes)
    new = with_tail(graph, part)
    assert [node.op for node in new.nodes] == [node.op for node in graph.nodes]
    assert new.node("e") is node and new.node("a") is graph.node("a")


def test_with_a_bypass_the_tail_is_the_whole_model():
    graph = model(ADDED)
    assert tail(graph, "c") is None
    assert tail(graph.with_nodes(graph.nodes, "d"), "e") is None
    with tails((graph,), "c", IMAGES) as ((whole,), images):
        assert whole is graph and images is IMAGES
