"""Random paddings and constant channels in files of both generations of Keras."""

from collections import Counter

import numpy as np
import pytest

from pipeline.errors import IncompatibleModelError
from pipeline.graph.forward import forward
from pipeline.importers import load_model
from pipeline.preparation import prepare

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(params=[("tf_keras", "h5"), ("keras", "h5"), ("keras", "keras")], ids="-".join)
def generation(request):
    name, suffix = request.param
    return pytest.importorskip(name), suffix


def draw(keras, rng):
    """Return a model with a ZeroPadding2D before a random window."""
    layers, size, kernel = keras.layers, int(rng.integers(6, 12)), int(rng.integers(1, 6))
    stride, half = int(rng.integers(1, 3)), kernel // 2
    amounts = [((half, half),) * 2, ((0, 1), (0, 1)), ((1, 1), (0, 2))][rng.integers(3)]
    window = [
        layers.Conv2D(4, kernel, stride, name="w"),
        layers.DepthwiseConv2D(kernel, stride, name="w"),
        layers.SeparableConv2D(4, kernel, stride, name="w"),
        layers.MaxPooling2D(kernel, stride, name="w"),
    ][rng.integers(4)]
    end = [
        [layers.Flatten()],
        [layers.GlobalAveragePooling2D()],
        [layers.Conv2D(3, 1), layers.Flatten()],
    ]
    image = keras.Input((size, size, 3), dtype="uint8")
    x = layers.Rescaling(1 / 255)(image)
    for layer in (
        layers.Conv2D(4, 3, padding="same", name="c0"),
        layers.ReLU(6.0),
        layers.ZeroPadding2D(amounts),
        window,
        layers.BatchNormalization(name="bn"),
        layers.ReLU(6.0),
        *end[rng.integers(3)],
        layers.Dense(3, name="d"),
    ):
        x = layer(x)
    model = keras.Model(image, x)
    gamma = rng.choice([0.0, 0.5, 1.5], 4) if "pooling" not in type(window).__name__ else np.ones(4)
    norm = model.get_layer("bn")
    norm.set_weights([gamma, rng.normal(size=4), rng.normal(size=4) / 9, rng.random(4) + 0.5])
    return model


def test_files_of_keras_keep_their_outputs(generation, tmp_path):
    keras, suffix = generation
    rng, seen = np.random.default_rng(0), Counter()
    for number in range(24):
        keras.utils.set_random_seed(number)
        model = draw(keras, rng)
        path = tmp_path / f"m{number}.{suffix}"
        model.save(path)
        images = rng.integers(0, 256, (8, *model.input_shape[1:]), dtype=np.uint8)
        wanted = np.asarray(model(images))
        try:
            graph, _ = prepare(load_model(path))
        except IncompatibleModelError as error:
            seen["padding" if "ZeroPadding2D" in str(error) else "constant"] += 1
            continue
        seen["taken"] += 1
        assert not {"ZeroPadding2D", "BatchNormalization"} & {node.op for node in graph.nodes}
        # Sums in another order: a few float32 roundings of the largest term.
        np.testing.assert_allclose(forward(graph, images), wanted, rtol=1e-4, atol=1e-5)
    assert seen["taken"] >= 8 and seen["padding"] >= 3, seen
