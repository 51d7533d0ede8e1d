"""Models of every topology, saved by both generations of Keras, are imported and unfused."""

import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.graph.forward import forward
from pipeline.importers import load_model
from pipeline.transforms.exact.unfuse_separable import unfuse_separable

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
SHAPE = (8, 8, 3)


@pytest.fixture(params=["tf_keras", "keras"], scope="module")
def keras(request):
    return pytest.importorskip(request.param)


def entry(keras):
    image = keras.Input(SHAPE, dtype="uint8", name="input")
    return image, keras.layers.Rescaling(1 / 255, name="rescaling")(image)


def separable(keras, name, filters=3, **options):
    return keras.layers.SeparableConv2D(filters, 3, padding="same", name=name, **options)


def several_readers(keras):
    image, x = entry(keras)
    x = separable(keras, "s")(x)
    one, two = keras.layers.ReLU(6.0, name="a")(x), keras.layers.Conv2D(3, 1, name="b")(x)
    return keras.Model(image, keras.layers.Add(name="add")([one, two]))


def shared_layer(keras):
    image, x = entry(keras)
    layer = separable(keras, "s")
    return keras.Model(image, layer(keras.layers.ReLU(6.0, name="a")(layer(x))))


def inner_model(keras):
    image = keras.Input(SHAPE, name="inner_input")
    x = keras.layers.BatchNormalization(name="BN")(separable(keras, "s")(image))
    return keras.Model(image, keras.layers.ReLU(name="relu")(x), name="inner")


def nested_model(keras):
    image, x = entry(keras)
    return keras.Model(image, separable(keras, "s", 4)(inner_model(keras)(x)))


def nested_sequential(keras):
    image, x = entry(keras)
    layers = [separable(keras, "s"), keras.layers.ReLU(6.0, name="relu")]
    return keras.Model(image, keras.Sequential(layers, name="inner")(x))


def nested_twice(keras):
    image, x = entry(keras)
    inner = inner_model(keras)
    return keras.Model(image, inner(keras.layers.ReLU(name="a")(inner(x))))


def nested_first_call_is_the_output(keras):
    image, x = entry(keras)
    inner = inner_model(keras)
    middle = inner(x)
    keras.Model(image, inner(middle))
    return keras.Model(image, middle)


def deeply_nested(keras):
    image = keras.Input(SHAPE, name="middle_input")
    middle = keras.Model(image, inner_model(keras)(image), name="middle")
    rescaling = keras.layers.Rescaling(1 / 255, name="rescaling")
    return keras.Sequential([keras.Input(SHAPE), rescaling, middle, keras.layers.Flatten()])


def mixed_branches(keras):
    image, x = entry(keras)
    x = separable(keras, "s1", activation="relu")(x)
    y = separable(keras, "s2")(x)
    return keras.Model(image, keras.layers.Concatenate(name="c")([y, separable(keras, "s3")(y)]))


def separable_output(keras):
    image, x = entry(keras)
    options = {"depth_multiplier": 3, "dilation_rate": 2, "activation": "relu", "use_bias": False}
    return keras.Model(image, separable(keras, "s", **options)(x))


def sequential(keras):
    layers = [keras.layers.Rescaling(1 / 255), separable(keras, "s")]
    layers += [keras.layers.BatchNormalization(), keras.layers.ReLU(6.0), keras.layers.Flatten()]
    return keras.Sequential([keras.Input(SHAPE, dtype="uint8"), *layers, keras.layers.Dense(3)])


def compiled(keras):
    image, x = entry(keras)
    l2 = keras.regularizers.L2(1e-4)
    x = separable(keras, "s", depthwise_regularizer=l2, pointwise_constraint="max_norm")(x)
    x = keras.layers.Conv2D(3, 3, kernel_regularizer=l2, activity_regularizer=l2)(x)
    model = keras.Model(image, keras.layers.Dense(3)(keras.layers.Flatten()(x)))
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    return model


MODELS = {
    function.__name__: function
    for function in (
        *(several_readers, shared_layer, nested_model, nested_sequential, nested_twice),
        *(nested_first_call_is_the_output, deeply_nested, mixed_branches, separable_output),
        *(sequential, compiled),
    )
}


@pytest.mark.parametrize("topology", MODELS)
def test_every_topology_is_read_and_unfused(tmp_path, keras, topology):
    model = MODELS[topology](keras)
    rng = np.random.default_rng(0)
    for variable in model.weights:
        low = 0.5 if "variance" in variable.name else -0.5
        variable.assign(rng.uniform(low, 1, variable.shape).astype(np.float32))
    images = rng.integers(0, 256, (4, *SHAPE), dtype=np.uint8)
    expected = np.asarray(model(images, training=False))
    for suffix in ("h5", "keras"):
        path = tmp_path / f"model.{suffix}"
        model.save(path)
        graph = load_model(path)
        # Keras sums in another order.
        tolerance = {"rtol": 1e-4, "atol": 1e-5 * float(np.abs(expected).max())}
        np.testing.assert_allclose(forward(graph, images), expected, **tolerance)
        unfused = unfuse_separable(graph).graph
        assert not any(node.op == "SeparableConv2D" for node in unfused.nodes)
        np.testing.assert_array_equal(forward(unfused, images), forward(graph, images))


def test_copies_of_a_shared_layer_hold_the_same_weights(tmp_path, keras):
    shared_layer(keras).save(tmp_path / "m.h5")
    graph = unfuse_separable(load_model(tmp_path / "m.h5")).graph
    names = [node.name for node in graph.nodes][2:]
    assert names == ["dw_s", "pw_s", "a", "dw_s_1", "pw_s_1"]
    for half in ("dw_s", "pw_s"):
        one, two = graph.node(half).weights, graph.node(f"{half}_1").weights
        np.testing.assert_array_equal(one["kernel"], two["kernel"])


def test_nested_names_contain_the_path_of_a_layer(tmp_path, keras):
    deeply_nested(keras).save(tmp_path / "m.h5")
    names = [node.name for node in load_model(tmp_path / "m.h5").nodes]
    assert names[2:5] == ["middle/inner/s", "middle/inner/BN", "middle/inner/relu"]


def test_a_layer_on_steps_is_unfused(tmp_path, keras):
    image = keras.Input((16, 3))
    model = keras.Model(image, keras.layers.SeparableConv1D(4, 3, name="one")(image))
    model.save(tmp_path / "a.h5")
    graph = load_model(tmp_path / "a.h5")
    unfused = unfuse_separable(graph).graph
    assert {"dw_one", "pw_one"} < {node.name for node in unfused.nodes}
    images = np.random.default_rng(0).normal(size=(4, 16, 3)).astype(np.float32)
    wanted = np.asarray(model(images, training=False))
    np.testing.assert_allclose(forward(graph, images), wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(forward(unfused, images), forward(graph, images))


def test_what_has_no_counterpart_is_refused_by_name(tmp_path, keras):
    image = keras.Input((8, 8, 8, 3))
    keras.Model(image, keras.layers.Conv3D(4, 3, name="one")(image)).save(tmp_path / "a.h5")
    with pytest.raises(ModelError, match="one: Conv3D has no counterpart"):
        load_model(tmp_path / "a.h5")


def test_several_outputs_are_read(tmp_path, keras):
    image, x = entry(keras)
    x = separable(keras, "s1")(x)
    keras.Model(image, [x, separable(keras, "s2")(x)]).save(tmp_path / "b.h5")
    assert [node.name for node in load_model(tmp_path / "b.h5").ends] == ["s1", "s2"]


def test_code_in_a_model_is_never_run(tmp_path, keras):
    image, x = entry(keras)
    keras.Model(image, keras.layers.Lambda(lambda t: t * 2, name="code")(x)).save(tmp_path / "m.h5")
    with pytest.raises(ModelError, match="code: Lambda layers are refused"):
        load_model(tmp_path / "m.h5")
