from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline.config.sections import Training
from pipeline.errors import DataError
from pipeline.graph.architecture import build_graph
from pipeline.graph.architecture_file import read_architecture
from pipeline.graph.forward import forward
from pipeline.training.train import train, with_momentum

CONF = Path(__file__).parents[3] / "conf"
SMALL = {
    "name": "small",
    "input": {"shape": [4, 4, 1]},
    "layers": [
        {"Conv2D": {"filters": 4, "kernel_size": 3}},
        {"BatchNormalization": {"momentum": 0.9}},
        {"ReLU": {"max_value": 6}},
        "Flatten",
        {"Dropout": {"rate": 0.1}},
        {"Dense": {"units": 2}},
    ],
}
OPTIONS = Training(epochs=3, batch_size=16, learning_rate=0.01)


def data(count=96):
    """Return images that are bright at the top (class 0) or at the bottom (class 1)."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, count)
    images = rng.integers(0, 100, (count, 4, 4, 1))
    images[labels == 0, :2] += 150
    images[labels == 1, 2:] += 150
    return images.astype(np.uint8), labels


def weights(graph):
    return {f"{n.name}/{key}": array for n in graph.nodes for key, array in n.weights.items()}


@pytest.mark.slow
def test_training_is_reproducible_and_follows_the_seed():
    images, labels = data()
    graph = build_graph(SMALL)
    seen = []
    runs = [
        train(graph, images, labels, images, labels, OPTIONS, seed=seed, progress=progress)
        for seed, progress in ((1, lambda *args: seen.append(args)), (1, None), (2, None))
    ]
    (first, history), (again, same), (other, _) = runs
    assert history == same
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert [epoch for epoch, _, _ in seen] == [1, 2, 3]
    assert seen[-1][2]["accuracy"] == history["accuracy"][-1]
    for name, array in weights(first).items():
        assert array.tobytes() == weights(again)[name].tobytes(), name
    assert any(np.any(array != weights(other)[name]) for name, array in weights(first).items())
    # The input graph is untouched, and every kind of weight has been trained.
    for name, array in weights(build_graph(SMALL)).items():
        np.testing.assert_array_equal(array, weights(graph)[name])
        assert np.any(array != weights(first)[name]), name


@pytest.mark.slow
def test_float_labels_train_a_regression():
    images, labels = data()
    graph = build_graph({**SMALL, "layers": [*SMALL["layers"][:-1], {"Dense": {"units": 1}}]})
    options = replace(OPTIONS, optimizer="sgd", schedule="constant", learning_rate=0.001)
    trained, history = train(graph, images, labels.astype(np.float32), options=options)
    assert set(history) == {"loss", "mean_absolute_error"}
    assert history["loss"][-1] < history["loss"][0]
    assert trained.parameters == graph.parameters


@pytest.mark.slow
def test_the_default_model_learns_the_digits():
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.round(digits.images * 255 / 16).astype(np.uint8)[..., None]
    graph = build_graph(yaml.safe_load((CONF / "model" / "separable_cnn.yaml").read_text()))
    options = Training(**yaml.safe_load((CONF / "training" / "default.yaml").read_text()))
    trained, _ = train(graph, images[360:], digits.target[360:], options=options)
    found = forward(trained, images[:360]).argmax(axis=1)
    assert np.mean(found == digits.target[:360]) >= 0.95


def test_no_epochs_keep_the_weights():
    images, labels = data()
    graph = build_graph(SMALL)
    assert train(graph, images, labels, options=Training(epochs=0)) == (graph, {})


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((2, 5, 5, 1), np.uint8), np.zeros(2, int), r"shape \(2, 5, 5, 1\)"),
        (np.zeros((2, 4, 4, 1), np.float32), np.zeros(2, int), "found float32"),
        (np.zeros((0, 4, 4, 1), np.uint8), np.zeros(0, int), r"shape \(0, 4, 4, 1\)"),
        (np.zeros((2, 4, 4, 1), np.uint8), np.zeros(3, int), "found 3 for 2 images"),
        (np.zeros((2, 4, 4, 1), np.uint8), np.array([0, 2]), "from 0 to 2"),
        (
            np.zeros((2, 4, 4, 1), np.uint8),
            np.zeros((2, 2), int),
            "of shape .2, 2.",
        ),
        (
            np.zeros((2, 4, 4, 1), np.uint8),
            np.zeros((2, 3)),
            r"of shape \(2, 3\), numbers",
        ),
    ],
)
def test_unfit_data_is_refused(images, labels, message):
    with pytest.raises(DataError, match=message):
        train(build_graph(SMALL), images, labels, options=OPTIONS)


@pytest.mark.slow
def test_early_stopping_keeps_the_best_on_held_out_images():
    images, labels = data()
    options = replace(OPTIONS, epochs=30, patience=2, learning_rate=0.05, schedule="constant")
    trained, history = train(build_graph(SMALL), images, labels, options=options, seed=3)
    scores = history["val_accuracy"]
    assert len(scores) < 30 and scores.index(max(scores)) == len(scores) - 3
    held = np.random.default_rng(3).permutation(len(images))[:10]
    found = forward(trained, images[held]).argmax(axis=1)
    assert np.mean(found == labels[held]) == pytest.approx(max(scores))
    with pytest.raises(DataError, match="too few to hold some out"):
        train(build_graph(SMALL), images[:1], labels[:1], options=options)


@pytest.mark.parametrize(
    ("momentum", "steps", "expected"),
    [(None, 100_000, 0.99), (None, 1000, 0.95), (None, 10, 0.9), (0.5, 1000, 0.5)],
)
def test_batchnorm_momentum_suits_the_length(momentum, steps, expected):
    graph = build_graph(read_architecture("akidanet", ["alpha=0.25", "input_shape=[32,32,3]"]))
    suited = with_momentum(graph, momentum, steps)
    found = [n.attrs["momentum"] for n in suited.nodes if n.op == "BatchNormalization"]
    assert found == pytest.approx([expected] * len(found))
    small = with_momentum(build_graph(SMALL), None, 100_000)
    assert small.node("batch_normalization").attrs["momentum"] == 0.9


@pytest.mark.slow
def test_maps_are_learnt_through_transposed_convolutions():
    """Masks as labels, for a model that downsamples and upsamples its images."""
    rng = np.random.default_rng(0)
    masks = np.zeros((48, 8, 8, 1), np.float32)
    for mask, column in zip(masks, rng.integers(2, 7, len(masks)), strict=True):
        mask[:, :column] = 1
    images = np.where(masks > 0, rng.integers(150, 256, masks.shape), 40).astype(np.uint8)
    layers = [
        {"Rescaling": {"scale": 1 / 255}},
        {"Conv2D": {"filters": 8, "kernel_size": 3, "strides": 2, "padding": "same"}},
        {"ReLU": {"max_value": 7.5}},
        {"DepthwiseConv2DTranspose": {"name": "up", "kernel_size": 3, "strides": 2}},
        {"Conv2D": {"filters": 1, "kernel_size": 1}},
    ]
    graph = build_graph({"name": "unet", "input": {"shape": [8, 8, 1]}, "layers": layers})
    options = Training(epochs=20, batch_size=8, learning_rate=0.01, regression_loss="mse")
    trained, history = train(graph, images, masks, options=options)
    assert history["loss"][-1] < history["loss"][0] / 2
    for key, array in graph.node("up").weights.items():
        assert np.any(array != trained.node("up").weights[key]), key


@pytest.mark.slow
def test_a_regression_starts_near_its_targets():
    images, labels = data()
    graph = build_graph({**SMALL, "layers": [*SMALL["layers"][:-1], {"Dense": {"units": 1}}]})
    ages = (40 + 10 * labels).astype(np.float32)
    _, history = train(graph, images, ages, options=replace(OPTIONS, learning_rate=0.001))
    assert history["mean_absolute_error"][0] < 20
