"""Layers on steps and with channels first, and others that become several nodes, equal Keras."""

import numpy as np
import pytest

from pipeline.chips.check import check
from pipeline.chips.report import INCOMPATIBLE
from pipeline.errors import IncompatibleModelError
from pipeline.graph.forward import forward
from pipeline.models.file import read_float
from tests.pipeline.importers.keras_files import functional, image, kernel, layer, write_h5

FIRST = {"data_format": "channels_first"}


def read(tmp_path, shape, kind, weights=None, **config):
    model = functional([image(shape=shape, dtype="float32"), layer(kind, "l", "image", **config)])
    return read_float(write_h5(tmp_path / "m.h5", model, {"l": weights or {}}))


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("padding", ["valid", "causal"])
def test_a_convolution_of_steps(tmp_path, padding, dilation):
    weights = {"kernel": kernel(3, 2, 4), "bias": kernel(4)}
    config = {"filters": 4, "kernel_size": [3], "padding": padding, "dilation_rate": [dilation]}
    graph = read(tmp_path, (9, 2), "Conv1D", weights, **config)
    x = np.random.default_rng(0).normal(size=(3, 9, 2)).astype("f4")
    reach = 2 * dilation
    padded = np.pad(x, ((0, 0), (reach if padding == "causal" else 0, 0), (0, 0)))
    wanted = weights["bias"] + sum(
        padded[:, tap * dilation : padded.shape[1] - reach + tap * dilation]
        @ weights["kernel"][tap]
        for tap in range(3)
    )
    np.testing.assert_allclose(forward(graph, x), wanted, rtol=1e-5, atol=1e-5)


def test_a_layer_of_steps_reads_steps(tmp_path):
    weights = {"kernel": kernel(3, 2, 4), "bias": kernel(4)}
    with pytest.raises(IncompatibleModelError, match="allowed: steps and channels"):
        read(tmp_path, (9, 9, 2), "Conv1D", weights, filters=4, kernel_size=[3])


def test_channels_first(tmp_path):
    weights = {"kernel": kernel(3, 3, 2, 4), "bias": kernel(4)}
    config = {"filters": 4, "kernel_size": [3, 3], "padding": "same"}
    last = read(tmp_path, (6, 5, 2), "Conv2D", weights, **config)
    first = read(tmp_path, (2, 6, 5), "Conv2D", weights, **config, **FIRST)
    x = np.random.default_rng(0).normal(size=(3, 6, 5, 2)).astype("f4")
    found = forward(first, x.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(found, forward(last, x))


def models(keras):
    """Return models of each kind that a Keras of either generation saves."""
    layers, dense = keras.layers, keras.layers.Dense

    def chain(shape, *rest):
        return keras.Sequential([layers.Input(shape), *rest])

    def extreme(kind):
        image = layers.Input((8, 8, 3))
        one, two = (layers.Conv2D(4, 3, padding="same")(image) for _ in range(2))
        return keras.Model(image, dense(3)(layers.Flatten()(kind()([one, two]))))

    return {
        "steps": chain(
            (16, 3),
            layers.Conv1D(8, 3, padding="causal", activation="relu"),
            layers.MaxPooling1D(2, padding="same"),
            layers.SeparableConv1D(6, 3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.UpSampling1D(2),
            layers.ZeroPadding1D(1),
            layers.DepthwiseConv1D(3),
            layers.AveragePooling1D(2),
            layers.Cropping1D((1, 0)),
            layers.TimeDistributed(dense(5, activation="relu")),
            layers.GlobalMaxPooling1D(),
            dense(3),
        ),
        "channels first": chain(
            (3, 8, 12),
            layers.ZeroPadding2D(1, **FIRST),
            layers.Conv2D(4, 3, strides=2, **FIRST),
            layers.BatchNormalization(axis=1),
            layers.ReLU(),
            layers.DepthwiseConv2D(3, padding="same", **FIRST),
            layers.MaxPooling2D(2, **FIRST),
            layers.Flatten(**FIRST),
            dense(3),
        ),
        "cropping": chain((9, 8, 3), layers.Cropping2D(((1, 0), (2, 1))), layers.Conv2D(4, 3)),
        "bilinear": chain((5, 4, 3), layers.UpSampling2D(2, interpolation="bilinear")),
        "maximum": extreme(layers.Maximum),
        "minimum": extreme(layers.Minimum),
        "rescaling": chain(
            (8, 8, 3), layers.Conv2D(4, 3, activation="relu"), layers.Rescaling(0.5, offset=-0.25)
        ),
    }


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("generation", "file"), [("tf_keras", "m.h5"), ("keras", "m.keras")])
def test_keras_computes_the_same(tmp_path, generation, file):
    keras = pytest.importorskip(generation)
    keras.utils.set_random_seed(0)
    for name, model in models(keras).items():
        model.save(tmp_path / file)
        graph = read_float(tmp_path / file)
        x = np.random.default_rng(0).normal(size=(3, *graph.shapes[graph.input.name]))
        wanted = np.asarray(model(x.astype("f4"), training=False))
        found = forward(graph, x.astype("f4"))
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5, err_msg=name)
        if name != "bilinear":
            assert check(graph, "akida_v2").verdict != INCOMPATIBLE, name
        (tmp_path / file).unlink()
