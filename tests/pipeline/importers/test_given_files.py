"""Files of other people and tools, outside the repository; skipped if absent."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.graph.forward import forward
from pipeline.importers import load_model

SHARED = Path(__file__).parents[4] / "shared"
CASES, FIELD = SHARED / "cases", SHARED / "field"
REFUSED = {
    "S02_registered_user_classes/class_k3.keras": "c: 'mine>Conv2D' is a user-defined class",
    "S02_registered_user_classes/mini.keras": "d: 'mine>Dense' is a user-defined class",
    "S02_registered_user_classes/unreg_k3.keras": "c: function 'swish' is user-defined",
    "S02_registered_user_classes/fun_gelu_k2.h5": "activation: function 'mine>gelu' is user",
    "S04_training_true/mini.h5": "bn: it was called with training=True",
    "S11_two_layers_of_one_name/dup.h5": "two layers of one model are named 'a'",
}
EQUAL = (
    *("C03_nested_names/mini.h5", "C04_sequential_as_list/mini.h5", "C05_named_outputs/dict.h5"),
    *("C05_named_outputs/dict.keras", "M06_arithmetic_layers/array.keras"),
    "M06_arithmetic_layers/mini.h5",
)
READ = {
    "C08_name_that_tf_keras_refuses/mini.keras": ["Dense"],
    "M06_arithmetic_layers/plus.keras": ["Dense", "Dense", "Add"],
    "M10_no_shape/mini.h5": ["Dense", "ReLU", "Dense"],
    **{
        f"X02_readable_layers/{name}": ["Conv2D", "ReLU", "Flatten", "Dense"]
        for name in (
            *("ActivityRegularization.h5", "GaussianNoise.keras", "Identity.keras"),
            "RandomFlip.keras",
        )
    },
    **{
        f"X02_readable_layers/{name}": ["Rescaling", "Conv2D", "ReLU", "Flatten", "Dense"]
        for name in ("k2.h5", "k3.keras", "list_k3.keras")
    },
    "X02_readable_layers/prune.h5": ["Conv2D", "Flatten", "Dense"],
    "X02_readable_layers/m.keras": [
        *("Conv2D", "BatchNormalization", "ReLU", "Flatten", "Dense", "Softmax"),
    ],
}


def given(folder, name):
    path = folder / name
    if not path.exists():
        pytest.skip(f"{path} is absent")
    return path


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    with pytest.raises(ModelError, match=REFUSED[name]):
        load_model(given(CASES, name))


@pytest.mark.parametrize("name", EQUAL)
def test_equal_to_keras(name):
    path = given(CASES, name)
    with np.load(path.with_suffix(".npz")) as arrays:
        found = forward(load_model(path), arrays["x"])
        np.testing.assert_allclose(found, arrays["y"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", READ)
def test_read(name):
    graph = load_model(given(CASES, name))
    assert [node.op for node in graph.nodes[1:]] == READ[name]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", READ)
def test_read_as_keras_reads_it(name):
    if name == "X02_readable_layers/prune.h5":
        pytest.skip("needs TensorFlow's model optimization")
    if name == "M10_no_shape/mini.h5":
        pytest.skip("Keras cannot load weights of a model without an input shape")
    keras = pytest.importorskip("keras" if name.endswith(".keras") else "tf_keras")
    path = given(CASES, name)
    try:
        model = keras.models.load_model(path)
    except Exception:
        keras = pytest.importorskip("keras")
        model = keras.models.load_model(path)
    graph = load_model(path)
    shape = (4, *graph.input.attrs["shape"])
    images = np.random.default_rng(0).integers(0, 200, shape).astype(graph.input.attrs["dtype"])
    expected = np.asarray(model(images, training=False), np.float32)
    # float16 rounding if a note announces it.
    tolerance = 1e-2 if any("float16" in note.text for note in graph.notes) else 1e-5
    limit = tolerance * float(np.abs(expected).max())
    np.testing.assert_allclose(forward(graph, images), expected, rtol=0, atol=limit)


@pytest.mark.parametrize(
    "name",
    [
        *("emotion_tiny_xception", "gender_mini_xception", "mlperf_anomaly_autoencoder"),
        *("mlperf_resnet8", "mlperf_streaming_wakeword", "mlperf_vww_mobilenetv1"),
        "mnist_even_kernels",
    ],
)
def test_models_from_the_field(name):
    folder = given(FIELD, name)
    found = forward(load_model(folder / "model.h5"), np.load(folder / "inputs.npy"))
    expected = np.load(folder / "outputs.npy")
    limit = 2e-6 * float(np.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=limit)
