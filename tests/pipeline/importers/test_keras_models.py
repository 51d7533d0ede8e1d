"""Imported files of Keras compute the outputs of Keras."""

import numpy as np
import pytest

from pipeline.graph.forward import forward
from pipeline.importers import load_model

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def model():
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    given = keras.Input((9, 8, 3), name="image")
    inner = keras.Sequential(
        [
            keras.Input((9, 8, 3)),
            layers.Conv2D(4, 3, strides=2, padding="same", name="a"),
            layers.BatchNormalization(name="norm"),
        ],
        name="inner",
    )
    shared = layers.Conv2D(4, 3, padding="same", name="shared")
    x = inner(layers.Rescaling(1 / 127.5, -1, name="rescaling")(given))
    x = layers.Add(name="add")([shared(x), shared(layers.ReLU(6.0, name="relu6")(x))])
    x = layers.SeparableConv2D(5, 3, activation="relu", name="separable")(x)
    y = layers.LeakyReLU(0.1, name="leaky")(x)
    x = layers.Concatenate(name="both")([x, y])
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Conv2DTranspose(3, 3, strides=2, padding="same", name="transpose")(x)
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    model = keras.Model(given, layers.Dense(3, activation="softmax", name="head")(x), name="net")
    rng = np.random.default_rng(0)
    norm = inner.get_layer("norm")
    norm.set_weights([rng.uniform(0.5, 1.5, array.shape) for array in norm.get_weights()])
    return model


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_outputs_are_equal(model, tmp_path, suffix):
    path = tmp_path / f"model{suffix}"
    model.save(path)
    images = np.random.default_rng(1).integers(0, 256, (4, 9, 8, 3)).astype(np.float32)
    # Float32 sums in another order: a few units in the last place.
    np.testing.assert_allclose(
        forward(load_model(path), images), model.predict(images, verbose=0), rtol=1e-5, atol=1e-7
    )
