import numpy as np

from pipeline.graph.build import make_node
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from pipeline.transforms.gap.commutation import commutation_errors


def pooled(*between, scale=1.0):
    nodes = [
        make_node("input", "Input", (), {"shape": (3, 3, 2), "dtype": "float32"}),
        make_node("r", "Rescaling", ("input",), {"scale": scale}),
        make_node("gap", "GlobalAveragePooling2D", ("r",)),
    ]
    for number, (op, attrs, weights) in enumerate(between):
        nodes.append(make_node(f"n{number}", op, (nodes[-1].name,), attrs, weights))
    nodes.append(make_node("act", "ReLU", (nodes[-1].name,)))
    return Graph("m", tuple(nodes), "act")


def images():
    return np.random.default_rng(0).normal(size=(300, 3, 3, 2)).astype(np.float32)


def test_the_definition():
    x = images()
    kept = np.maximum(x.mean((1, 2)), 0)
    moved = np.maximum(x, 0).mean((1, 2))
    expected = np.sqrt(np.square(moved - kept).mean(0) / np.square(kept).mean())
    # Float32 activations, and two batches of `forward`.
    np.testing.assert_allclose(commutation_errors(pooled(), x)["gap"], expected, rtol=1e-5)


def test_no_error_if_no_value_is_clipped():
    errors = commutation_errors(pooled(), np.abs(images()))["gap"]
    assert errors.max() < 1e-6


def test_batchnorm_and_reshape_belong_to_it():
    weights = {
        "gamma": [1.0, 2.0],
        "beta": [0.0, 100.0],
        "moving_mean": [0.0, 0.0],
        "moving_variance": [1.0, 1.0],
    }
    graph = pooled(
        ("BatchNormalization", {"axis": 1}, weights), ("Reshape", {"target_shape": (1, 1, 2)}, {})
    )
    errors = commutation_errors(graph, images())["gap"]
    assert errors[0] > 1e-3
    # Far from zero the second channel's ReLU is linear.
    assert errors[1] < 1e-6


def test_dead_layers_and_models_without_pooling_have_no_error():
    assert commutation_errors(pooled(scale=-1.0), np.abs(images()))["gap"].tolist() == [0, 0]
    graph = Graph("m", (make_node("input", "Input", (), {"shape": (2,)}),), "input")
    assert commutation_errors(graph, forward(graph, np.zeros((1, 2)))) == {}
