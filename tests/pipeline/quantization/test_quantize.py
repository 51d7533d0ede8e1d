from dataclasses import replace

import numpy as np
import pytest

from pipeline.config.sections import Calibration, Quantization
from pipeline.errors import ConfigError, DataError, IncompatibleModelError
from pipeline.quantization.quantize import quantize
from tests.pipeline.quantization.graphs import RELU, chain, conv

GRAPH = chain(
    ("Rescaling", {"scale": 1 / 127.5, "offset": -1.0}),
    conv(4, strides=2),
    ("BatchNormalization", {}),
    RELU,
    ("Flatten", {}),
    ("Dense", {"units": 5}),
    ("Activation", {"activation": "softmax"}),
)
IMAGES = np.random.default_rng(0).integers(0, 256, (20, 6, 6, 3), dtype=np.uint8)
OPTIONS = Quantization(calibration=Calibration(batch_size=10))


def random_samples_warned(quantized):
    """Return True if the first note warns of random samples."""
    return bool(quantized.notes) and (
        quantized.notes[0].is_warning and "random samples: not accurate" in quantized.notes[0].text
    )


def registers(quantized):
    return {
        f"{node.name}/{key}": value
        for node in quantized.nodes
        for key, value in node.registers.items()
    }


def test_a_trained_model_becomes_integers():
    quantized = quantize(GRAPH, IMAGES, OPTIONS)
    assert [node.op for node in quantized.nodes] == [
        "Input",
        "Rescaling",
        "Conv2D",
        "ReLU",
        "Flatten",
        "Dense",
        "Dequantizer",
    ]
    assert quantized.scheme == "quantizeml"
    found = registers(quantized)
    assert found["conv2d_2/kernel"].dtype == np.int8
    assert "conv2d_2/padding_value" in found
    assert any("softmax" in note.text for note in quantized.notes)


def test_the_same_inputs_give_the_same_integers():
    first, second = (registers(quantize(GRAPH, IMAGES, OPTIONS)) for _ in range(2))
    assert first.keys() == second.keys()
    for key in first:
        np.testing.assert_array_equal(first[key], second[key])


def test_flatten_aligns_in_the_dense_layer_or_before():
    aligned = registers(quantize(GRAPH, IMAGES, OPTIONS))
    saturated = registers(quantize(GRAPH, IMAGES, replace(OPTIONS, flatten="saturate")))
    assert "dense_6/input_shift" in aligned and "flatten_5/input_shift" not in aligned
    assert "flatten_5/input_shift" in saturated and "dense_6/input_shift" not in saturated


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (IMAGES[:0], "found none"),
        (IMAGES[..., :1], "found shape"),
        (IMAGES / 255, "found float64"),
    ],
)
def test_unusable_samples_are_refused(samples, message):
    with pytest.raises(DataError, match=message):
        quantize(GRAPH, samples, OPTIONS)


def test_random_samples_are_generated_with_a_warning():
    options = replace(OPTIONS, calibration=Calibration(source="random", samples=10, batch_size=5))
    first = quantize(GRAPH, None, options)
    assert random_samples_warned(first)
    again = registers(quantize(GRAPH, None, options))
    for key, value in registers(first).items():
        np.testing.assert_array_equal(value, again[key])
    assert random_samples_warned(quantize(GRAPH, IMAGES, options))
    per_tensor = replace(options, per_tensor_activations=True)
    assert not random_samples_warned(quantize(GRAPH, None, per_tensor))
    assert not random_samples_warned(quantize(GRAPH, IMAGES, OPTIONS))


def test_unknown_schemes_are_refused():
    with pytest.raises(ConfigError, match="found 'median'; allowed: quantizeml"):
        quantize(GRAPH, IMAGES, replace(OPTIONS, scheme="median"))


def test_unsupported_layers_are_refused_together():
    graph = chain(
        conv(4), ("AveragePooling2D", {}), conv(4, dilation_rate=2), ("Dense", {"units": 2})
    )
    with pytest.raises(IncompatibleModelError) as refused:
        quantize(graph, IMAGES, OPTIONS)
    assert {reason.split(":")[0] for reason in refused.value.reasons} == {
        "averagepooling2d_2",
        "conv2d_3",
    }


def test_progress_reaches_the_end():
    seen = []
    quantize(GRAPH, IMAGES, OPTIONS, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (2, 2)
