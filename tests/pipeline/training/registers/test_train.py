"""Training in registers: what is kept, and what cannot be trained."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.config import Calibration, Quantization, RegisterTraining
from pipeline.errors import ConfigError, DataError
from pipeline.graph.forward import forward
from pipeline.messages.notes import TRAINED
from pipeline.preparation.head import cut_head
from pipeline.quantization.quantize import quantize
from pipeline.quantization.refine.integer_forward import run_nodes
from pipeline.training.registers.train import NOT_TRAINED, train_registers
from simulator import simulate
from tests.pipeline.quantization.graphs import RELU, chain, conv
from tests.pipeline.quantization.refine.test_refine import equal, pictures

HALF = ("Rescaling", {"scale": 1 / 127.5, "offset": -1.0})
GAP = ("GlobalAveragePooling2D", {})
NET = [HALF, conv(8), RELU, conv(8, strides=2), RELU, GAP, ("Dense", {"units": 5})]
GRAPH = chain(*NET, shape=(8, 8, 3))
OPTIONS = Quantization(
    weight_bits=2,
    activation_bits=4,
    train="distill",
    training=RegisterTraining(epochs=6, batch_size=16, learning_rate=0.01),
    calibration=Calibration(batch_size=20),
)
FIRST = [HALF, conv(8), RELU, conv(8, strides=2), GAP, RELU, ("Dense", {"units": 5})]
SCHEMES = {"quantizeml": GRAPH, "cnn2snn": chain(*FIRST, shape=(8, 8, 3))}


def trained(graph=GRAPH, images=None, labels=None, options=OPTIONS):
    images = pictures(200) if images is None else images
    start = quantize(graph, images, options)
    return start, *train_registers(graph, start, images, labels, options)


def outputs(quantized, images):
    if quantized.scheme == "cnn2snn":
        from pipeline.chips import convert

        return simulate(convert(quantized, "akida_v1"), images).reshape(len(images), -1)
    image, *nodes = quantized.nodes
    return run_nodes(nodes, {image.name: images})[quantized.output].reshape(len(images), -1)


def divergence(graph, quantized, images):
    wanted = forward(cut_head(graph)[0], images).reshape(len(images), -1)
    first, second = (
        x - x.max(1, keepdims=True) - np.log(np.exp(x - x.max(1, keepdims=True)).sum(1))[:, None]
        for x in (wanted, outputs(quantized, images))
    )
    return float((np.exp(first) * (first - second)).sum(1).mean())


def note(quantized):
    (found,) = (n for n in quantized.notes if n.kind == TRAINED and not n.is_warning)
    return found.text


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
def test_trained_models_are_closer_on_images_that_were_never_seen(scheme):
    graph, options = SCHEMES[scheme], replace(OPTIONS, scheme=scheme)
    start, found, history = trained(graph, options=options)
    assert note(found).startswith("trained on 160 images for 6 epochs; divergence from the float")
    assert any("only 200 images" in n.text for n in found.notes if n.is_warning)
    assert history.keys() == NOT_TRAINED.keys() and {len(c) for c in history.values()} == {6}
    tests = pictures(300, seed=1)
    assert divergence(graph, found, tests) < 0.8 * divergence(graph, start, tests)
    assert equal(found, trained(graph, options=options)[1])


@pytest.mark.slow
def test_a_training_that_ruins_the_model_is_not_kept():
    options = replace(OPTIONS, training=replace(OPTIONS.training, epochs=2, learning_rate=30.0))
    start, found, history = trained(options=options)
    assert note(found).startswith("not trained, which would not help; divergence")
    assert equal(start, found) and len(history["loss"]) == 2


@pytest.mark.slow
def test_labels_are_half_of_the_loss():
    images = pictures(200)
    labels = forward(GRAPH, images).argmax(1)
    options = replace(OPTIONS, train="labels")
    start, found, _ = trained(images=images, labels=labels, options=options)
    assert "the float model and the labels" in note(found) and "accuracy" in note(found)
    before, after = (np.mean(outputs(q, images).argmax(1) == labels) for q in (start, found))
    assert after > before
    assert not equal(found, trained(images=images, labels=labels)[1])


@pytest.mark.slow
def test_numbers_are_fitted_by_their_squared_error():
    labels = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    start, found, _ = trained(labels=labels)
    assert "squared error" in note(found) and "class" not in note(found)
    tests = pictures(200, seed=1)
    wanted = forward(GRAPH, tests)
    before, after = (np.square(outputs(q, tests) - wanted).mean() for q in (start, found))
    assert after < before


@pytest.mark.parametrize("count", [2, 9])
def test_too_few_images_leave_the_model_as_it_is(count):
    start, found, history = trained(images=pictures(count))
    assert "at least 10" in note(found)
    assert equal(start, found) and history == NOT_TRAINED


def test_temporal_models_stay_as_they_are():
    net = [("BufferTempConv", {"filters": 4, "fifo_size": 3}), ("ReLU", {}), conv(3, 1)]
    start, found, _ = trained(chain(*net, shape=(8, 8, 3)), pictures(40))
    assert "remembers past images" in note(found) and equal(start, found)


def test_labels_that_are_missing_are_asked_for():
    start = quantize(GRAPH, pictures(20), OPTIONS)
    with pytest.raises(ConfigError, match=r"quantization\.train: found labels"):
        train_registers(GRAPH, start, pictures(20), None, replace(OPTIONS, train="labels"))


@pytest.mark.slow
def test_labels_of_other_images_are_refused():
    start = quantize(GRAPH, pictures(20), OPTIONS)
    with pytest.raises(DataError, match="one for each"):
        train_registers(GRAPH, start, pictures(20), np.zeros(3, np.int64), OPTIONS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("activation", "output", "labels", "kind"),
    [
        ("softmax", (5,), None, "classes"),
        ("linear", (5,), None, "classes"),
        ("linear", (192,), None, "values"),
        ("linear", (4, 4, 5), None, "values"),
        ("linear", (1,), None, "values"),
        ("sigmoid", (1,), None, "chances"),
        ("sigmoid", (5,), None, "chances"),
        ("linear", (1,), np.zeros(3, np.int64), "chances"),
        ("linear", (192,), np.zeros(3, np.int64), "classes"),
        ("softmax", (5,), np.zeros((3, 5), np.float32), "values"),
    ],
)
def test_outputs_are_classes_chances_or_values(activation, output, labels, kind):
    from pipeline.training.registers.goal import kind_of_outputs

    assert kind_of_outputs(activation, (8, 8, 3), output, labels) == kind
