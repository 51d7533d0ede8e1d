"""A model with one output and labels 0 and 1 is a classifier of two classes in all metrics."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.accuracy import accuracy, score
from pipeline.chips import convert
from pipeline.cli.migrate import command as migrate_command
from pipeline.cli.simulate import command as simulate_command
from pipeline.config import Calibration, Evaluate, Quantization
from pipeline.config.sections import Gap, Training, Transforms
from pipeline.data import Dataset
from pipeline.errors import ConfigError, ModelError
from pipeline.evaluation.evaluate import evaluate
from pipeline.evaluation.program_diff import diff
from pipeline.graph.architecture import build_graph
from pipeline.graph.archive import save_graph
from pipeline.graph.forward import forward
from pipeline.graph.logits import before_probabilities, class_threshold
from pipeline.migration import migrate
from pipeline.quantization.quantize import quantize
from pipeline.transforms import Images, apply
from pipeline.transforms.gap.class_fit import fit_classes
from simulator.__main__ import main as simulator_main

CASE = Path(__file__).parents[4] / "shared/cases/S03_one_output_classifier"
RNG = np.random.default_rng(0)
LABELS = np.arange(80) % 2
IMAGES = (RNG.integers(0, 80, (80, 8, 8, 1)) + 150 * LABELS[:, None, None, None]).astype(np.uint8)


def model(end="sigmoid", units=1):
    """Return a model whose logit is the mean pixel minus 114, in units of 20."""
    layers = [
        {"Rescaling": {"scale": 1 / 255}},
        {"Conv2D": {"name": "c", "filters": 4, "kernel_size": 3, "padding": "same"}},
        {"ReLU": {}},
        "Flatten",
        {"Dense": {"name": "d", "units": units}},
        *([{"Activation": {"activation": end}}] if end else []),
    ]
    graph = build_graph({"name": "pair", "input": {"shape": [8, 8, 1]}, "layers": layers}, seed=0)
    kernel = np.zeros((3, 3, 1, 4), np.float32)
    kernel[1, 1] = 1
    scale = np.full((256, units), 255 / 20 / 256, np.float32)
    bias = np.full(units, -114 / 20, np.float32)
    changed = {
        "c": {"kernel": kernel, "bias": np.zeros(4)},
        "d": {"kernel": scale, "bias": bias},
    }
    return graph.with_nodes(
        node.with_weights(**{k: np.asarray(v, np.float32) for k, v in changed[node.name].items()})
        if node.name in changed
        else node
        for node in graph.nodes
    )


def data(labels=LABELS, classes=("dark", "bright")):
    return Dataset(
        name="pair",
        source="",
        licence="",
        classes=classes,
        x_train=IMAGES,
        y_train=labels,
        x_test=IMAGES,
        y_test=labels,
    )


@pytest.fixture(scope="module")
def program():
    options = Quantization(calibration=Calibration(samples=80, batch_size=20))
    return convert(quantize(model(), IMAGES, options), "akida_v2")


@pytest.mark.parametrize(("end", "threshold"), [("sigmoid", 0.5), (None, 0.0), ("linear", 0.0)])
def test_the_threshold_follows_the_last_activation(end, threshold):
    graph = model(end)
    assert class_threshold(graph) == threshold
    assert accuracy(graph, IMAGES, LABELS) == 1.0
    assert accuracy(graph, IMAGES, 1 - LABELS) == 0.0
    assert forward(before_probabilities(graph), IMAGES).min() < 0


def test_float_labels_remain_regression_targets():
    assert set(score(model(None), IMAGES, LABELS.astype(np.float32))) == {"mean_absolute_error"}
    assert score(model(None), IMAGES, LABELS) == {"accuracy": 1.0}


def test_evaluation_counts_both_classes(program):
    result = evaluate(program, model(), data(), Evaluate(batch_size=16))
    assert result.metrics["accuracy"] == result.metrics["float_accuracy"] == 1.0
    assert result.metrics["agreement"] == 1.0
    np.testing.assert_array_equal(result.predictions, LABELS)
    flipped = evaluate(program, model(), data(1 - LABELS), Evaluate())
    assert flipped.metrics["accuracy"] == 0.0


def test_evaluation_of_floats_is_a_regression(program):
    found = evaluate(program, model(None), data(LABELS.astype(np.float32), ()), Evaluate())
    assert "accuracy" not in found.metrics and found.metrics["mean_difference"] < 0.2


def test_diff_and_both_commands_print_the_classes(program, tmp_path, capsys):
    found = diff(program, program, IMAGES, LABELS)
    assert found["a"]["accuracy"] == found["agreement"] == 1.0
    program.save(tmp_path / "p.npz")
    np.save(tmp_path / "x.npy", IMAGES)
    paths = [str(tmp_path / name) for name in ("p.npz", "x.npy")]
    printed = CliRunner().invoke(simulate_command, paths)
    wanted = "\n".join(map(str, LABELS)) + "\n"
    assert printed.stdout == wanted
    assert simulator_main(paths) == 0
    assert capsys.readouterr().out == wanted


def test_migrate_measures_both_classes_and_guards_them():
    found = migrate(model(), "akida_v2", IMAGES, labels=LABELS).outputs
    assert found["accuracy_before"] == found["accuracy_after"] == found["agreement"] == 1.0


def pooled():
    """Return a 1.0-style model whose global average must move, with some images and outputs."""
    layers = [
        {"Conv2D": {"filters": 4, "kernel_size": 3, "padding": "same"}},
        {"GlobalAveragePooling2D": {}},
        {"ReLU": {}},
        {"Dense": {"units": 1}},
        {"Activation": {"activation": "sigmoid"}},
    ]
    return build_graph({"name": "p", "input": {"shape": [8, 8, 1]}, "layers": layers}, seed=3)


def test_transforms_report_agreement_of_both_classes():
    graph = pooled()
    outputs = forward(graph, IMAGES).ravel()
    labels = (outputs > np.median(outputs)).astype(np.int64)
    options = Transforms(
        names=("gap_after_relu",), gap=Gap(strategy="relocate", recalibrate="none")
    )
    images = Images(images=IMAGES, labels=labels, test_images=IMAGES, test_labels=labels)
    new, report = apply(graph, options, IMAGES, images)
    found = report["gap_after_relu"]
    same = (forward(new, IMAGES) > 0.5) == (outputs[:, None] > 0.5)
    assert found["agreement"] == same.mean()
    assert found["accuracy_after"] == accuracy(new, IMAGES, labels)
    strict = Transforms(names=options.names, gap=options.gap, max_accuracy_drop=0.0)
    if found["accuracy_after"] < found["accuracy_before"]:
        with pytest.raises(ModelError, match="accuracy fell"):
            apply(graph, strict, IMAGES, images)


def test_regression_has_neither_agreement_nor_an_accuracy_limit():
    numbers = Images(images=IMAGES, labels=LABELS.astype(np.float32))
    options = Transforms(names=("unfuse_separable",))
    _, report = apply(pooled(), options, IMAGES, numbers)
    assert "agreement" not in report["unfuse_separable"]
    strict = Transforms(names=("unfuse_separable",), max_accuracy_drop=0.1)
    with pytest.raises(ConfigError, match="the labels are numbers to estimate"):
        apply(pooled(), strict, IMAGES, numbers)


def test_a_logit_is_fitted_like_the_difference_of_two():
    rng = np.random.default_rng(1)
    x, truth = rng.normal(size=(400, 5)), rng.normal(size=(5, 1)) * 3
    logits = x @ truth
    weights, bias = fit_classes(x, logits, truth * 0.2, np.zeros(1))
    assert weights.shape == (5, 1) and bias.shape == (1,)
    found, wanted = (1 / (1 + np.exp(-z)) for z in (x @ weights + bias, logits))
    start = 1 / (1 + np.exp(-x @ truth * 0.2))
    assert np.abs(found - wanted).mean() < 0.3 * np.abs(start - wanted).mean()


@pytest.mark.slow
@pytest.mark.parametrize("end", ["sigmoid", None])
def test_training_learns_both_classes(end):
    from pipeline.training.train import train, tune

    graph = build_graph(
        {
            "name": "fresh",
            "input": {"shape": [8, 8, 1]},
            "layers": [
                {"Rescaling": {"scale": 1 / 255}},
                "Flatten",
                {"Dense": {"units": 1}},
                *([{"Activation": {"activation": end}}] if end else []),
            ],
        },
        seed=0,
    )
    options = Training(epochs=40, batch_size=8, learning_rate=0.05)
    trained, history = train(graph, IMAGES, LABELS, IMAGES, LABELS, options)
    assert history["val_accuracy"][-1] > 0.9
    assert history["val_accuracy"][-1] == pytest.approx(accuracy(trained, IMAGES, LABELS))
    gap = Gap(strategy="finetune", epochs=3, learning_rate=0.001)
    tuned, course = tune(trained, IMAGES, LABELS, gap)
    assert np.isfinite(course["loss"]).all() and max(course["loss"]) < np.log(2)
    assert accuracy(tuned, IMAGES, LABELS) > 0.9


@pytest.mark.skipif(not CASE.is_dir(), reason="reference cases are not beside the repository")
def test_a_keras_classifier_is_right(tmp_path):
    arguments = [str(CASE / "m.keras"), "-o", str(tmp_path / "m.h5")]
    arguments += ["--calibration", str(CASE / "x.npy"), "--labels", str(CASE / "labels.npy")]
    result = CliRunner().invoke(migrate_command, arguments)
    assert "accuracy 1.0000 before, 1.0000 after" in result.output


def test_a_graph_file_with_labels_out_of_range_is_refused(tmp_path):
    save_graph(tmp_path / "m.npz", model())
    np.save(tmp_path / "x.npy", IMAGES)
    np.save(tmp_path / "y.npy", LABELS + 254)
    arguments = [str(tmp_path / "m.npz"), "-o", str(tmp_path / "n.h5")]
    arguments += ["--calibration", str(tmp_path / "x.npy"), "--labels", str(tmp_path / "y.npy")]
    result = CliRunner().invoke(migrate_command, arguments)
    assert "y.npy: found labels from 254 to 255" in str(result.exception)
    assert not (tmp_path / "n.h5").exists()
