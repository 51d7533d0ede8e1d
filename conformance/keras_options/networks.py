"""Whole models: nesting, sharing, named outputs, arithmetic, users' own classes and functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

IMAGE = (6, 6, 3)
Build = Callable[[], object]


def networks(keras) -> Iterator[tuple[str, Build]]:
    """Yield (what, function that builds the model) for one generation of Keras."""
    makers = (_topologies, _endings, _calls, _arithmetic, _wrappers, _foreign)
    for maker in makers:
        for what, build in maker(keras):
            yield f"{maker.__name__[1:]}: {what}", build


def _entry(keras, dtype="float32"):
    return keras.Input(IMAGE, dtype=dtype, name="image")


def _block(keras, name, shape=IMAGE):
    layers = keras.layers
    x = entry = keras.Input(shape)
    x = layers.Conv2D(3, 3, padding="same", name="c")(x)
    x = layers.BatchNormalization(name="bn")(x)
    return keras.Model(entry, layers.ReLU(name="r")(x), name=name)


def _topologies(keras):
    layers, model = keras.layers, keras.Model

    def nested(function):
        def build():
            x = _entry(keras)
            return model(x, function(x))

        return build

    def within(outer):
        return outer(_block(keras, "inner"))

    def sequential(*made):
        return lambda: keras.Sequential([keras.Input(IMAGE), *(make() for make in made)])

    def wrapped(inner, name="outer"):
        x = keras.Input(IMAGE)
        return model(x, layers.Conv2D(3, 1, name="c")(inner(x)), name=name)

    def same_names():
        x = _entry(keras)
        inner = keras.Sequential(
            [keras.Input(IMAGE), layers.Conv2D(3, 3, name="c"), layers.BatchNormalization(name="b")]
        )
        return model(x, layers.Conv2D(4, 3, name="c")(inner(x)))

    def frozen():
        inner = _block(keras, "inner")
        inner.get_layer("c").trainable = False
        return wrapped(inner)

    def shared():
        x = _entry(keras)
        conv = layers.Conv2D(3, 3, padding="same")
        return model(x, conv(layers.ReLU()(conv(x))))

    def shared_model():
        x, inner = _entry(keras), _block(keras, "inner")
        return model(x, layers.Add()([inner(x), inner(inner(x))]))

    def late():
        made = keras.Sequential([layers.Conv2D(3, 3), layers.ReLU(), layers.Flatten()])
        made.build((None, *IMAGE))
        return made

    def late_dense():
        made = keras.Sequential([layers.Dense(4, activation="relu"), layers.Dense(3)])
        made(np.zeros((1, 12), np.float32))
        return made

    yield "functional in functional", nested(lambda x: _block(keras, "inner")(x))
    yield "two deep", nested(lambda x: wrapped(_block(keras, "inner"))(x))
    yield "three deep", nested(lambda x: wrapped(wrapped(_block(keras, "a"), "b"), "c")(x))
    yield "two nested", nested(lambda x: _block(keras, "b")(_block(keras, "a")(x)))
    yield "functional in sequential", sequential(lambda: _block(keras, "inner"), layers.Flatten)
    yield (
        "sequential in functional",
        nested(keras.Sequential([keras.Input(IMAGE), layers.Conv2D(3, 3), layers.ReLU()])),
    )
    yield "sequential in sequential", sequential(sequential(lambda: layers.Conv2D(2, 3)))
    yield "wrapped alone", lambda: within(wrapped)
    yield "same names", same_names
    yield "frozen layer inside", frozen
    yield "shared layer", shared
    yield "shared model", shared_model
    yield "sequential built late", late
    yield "sequential called late", late_dense


def _endings(keras):
    layers, model = keras.layers, keras.Model

    def build(inputs, outputs):
        def make():
            x = _entry(keras)
            y = layers.Conv2D(3, 3, name="c")(x)
            return model(inputs(x), outputs(y, x))

        return make

    def plain(x):
        return x

    yield "list of one", build(lambda x: [x], lambda y, x: [y])
    yield "named output", build(plain, lambda y, x: {"logits": y})
    yield "named input", build(lambda x: {"image": x}, lambda y, x: y)
    yield "named both", build(lambda x: {"image": x}, lambda y, x: {"logits": y})
    yield "nested list", build(lambda x: [[x]], lambda y, x: [[y]])
    yield "two outputs", build(plain, lambda y, x: [y, layers.ReLU()(y)])
    yield "two named", build(plain, lambda y, x: {"a": y, "b": layers.ReLU()(y)})
    yield "input is output", build(plain, lambda y, x: x)

    def two_inputs():
        a, b = keras.Input(IMAGE), keras.Input(IMAGE)
        return model([a, b], layers.Add()([a, b]))

    def inner_with_two_outputs():
        x = keras.Input(IMAGE)
        inner = model(x, [layers.ReLU()(x), layers.Conv2D(3, 1)(x)])
        x = _entry(keras)
        return model(x, inner(x)[1])

    yield "two inputs", two_inputs
    yield "inner model of two outputs", inner_with_two_outputs


def _calls(keras):
    layers, model = keras.layers, keras.Model
    made = {
        "BatchNormalization": lambda: layers.BatchNormalization(),
        "Dropout": lambda: layers.Dropout(0.5),
        "GaussianNoise": lambda: layers.GaussianNoise(0.5),
        "RandomFlip": lambda: layers.RandomFlip(),
        "inner model": lambda: _block(keras, "inner"),
    }
    for name, make in made.items():
        for training in (True, False, None):

            def build(make=make, training=training):
                x = _entry(keras)
                return model(x, make()(x, training=training))

            yield f"{name}(training={training})", build

    def masked():
        x = _entry(keras)
        mask = layers.Lambda(lambda t: t > 0)(x)
        return model(x, layers.Softmax()(x, mask))

    yield "Softmax with a mask", masked


def _arithmetic(keras):
    scale = np.array([0.5, 1.0, -2.0], np.float32)
    tf = __import__("tensorflow")
    functions = {
        "1 - x": lambda x: 1.0 - x,
        "x - 1": lambda x: x - 1.0,
        "x * 2 + 1": lambda x: x * 2.0 + 1.0,
        "x / 127.5 - 1": lambda x: x / 127.5 - 1.0,
        "-x": lambda x: -x,
        "2 * x": lambda x: 2.0 * x,
        "1 / x": lambda x: 1.0 / (x + 100.0),
        "x ** 2": lambda x: x**2,
        "x * x": lambda x: x * x,
        "x + x": lambda x: x + x,
        "x - relu(x)": lambda x: x - keras.layers.ReLU()(x),
        "array + x": lambda x: x + scale,
        "array * x": lambda x: x * scale,
        "x[..., :2]": lambda x: x[..., :2],
        "x[:, 1:]": lambda x: x[:, 1:],
        "relu": lambda x: keras.activations.relu(x),
        "relu(alpha)": lambda x: keras.activations.relu(x, 0.1),
        "relu(max)": lambda x: keras.activations.relu(x, max_value=2.0),
        "relu(max 6)": lambda x: keras.activations.relu(x, max_value=6.0),
        "relu(threshold)": lambda x: keras.activations.relu(x, threshold=0.5),
        "relu(all)": lambda x: keras.activations.relu(x, 0.1, max_value=2.0, threshold=0.5),
        **{
            name: lambda x, name=name: getattr(keras.activations, name)(x)
            for name in ("sigmoid", "tanh", "softmax", "gelu", "elu", "softplus", "swish", "silu")
            if hasattr(keras.activations, name)
        },
    }
    if keras.__name__ == "tf_keras":
        functions |= {
            "tf.relu6": tf.nn.relu6,
            "tf.leaky_relu": tf.nn.leaky_relu,
            "tf.leaky_relu(alpha)": lambda x: tf.nn.leaky_relu(x, alpha=0.3),
            "tf.add(y=)": lambda x: tf.add(x, y=1.0),
            "tf.subtract": lambda x: tf.subtract(1.0, x),
            "tf.divide": lambda x: tf.divide(x, 4.0),
            "tf.softmax(axis)": lambda x: tf.nn.softmax(x, axis=1),
            "tf.concat": lambda x: tf.concat([x, x], -1),
            "tf.reshape": lambda x: tf.reshape(x, (-1, 36, 3)),
            "tf.reshape of the batch": lambda x: tf.reshape(x, (-1, 3)),
            "tf.reduce_mean": lambda x: tf.reduce_mean(x, [1, 2]),
            "tf.reduce_mean(keepdims)": lambda x: tf.reduce_mean(x, [1, 2], keepdims=True),
            "tf.reduce_mean(1)": lambda x: tf.reduce_mean(x, 1),
            "tf.clip_by_value": lambda x: tf.clip_by_value(x, 0.0, 2.0),
            "tf.clip_by_value(-1)": lambda x: tf.clip_by_value(x, -1.0, 2.0),
            "tf.maximum": lambda x: tf.maximum(x, 0.0),
            "tf.maximum(1)": lambda x: tf.maximum(x, 1.0),
            "tf.cast": lambda x: tf.cast(x, "float32"),
            "tf.cast to int": lambda x: tf.cast(tf.cast(x, "int32"), "float32"),
            "tf.identity": lambda x: tf.identity(x) + 1.0,
            "tf.square": tf.square,
            "tf.pad": lambda x: tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]),
            "tf.gelu(approximate)": lambda x: tf.nn.gelu(x, approximate=True),
            "tf.gelu": lambda x: tf.nn.gelu(x),
        }
    else:
        ops = keras.ops
        functions |= {
            "ops.relu": ops.relu,
            "ops.relu6": ops.relu6,
            "ops.leaky_relu": lambda x: ops.leaky_relu(x, 0.3),
            "ops.add(x2=)": lambda x: ops.add(x, x2=1.0),
            "ops.subtract": lambda x: ops.subtract(1.0, x),
            "ops.divide": lambda x: ops.divide(x, 4.0),
            "ops.softmax(axis)": lambda x: ops.softmax(x, axis=1),
            "ops.concatenate": lambda x: ops.concatenate([x, x], -1),
            "ops.concatenate(1)": lambda x: ops.concatenate([x, x], axis=1),
            "ops.reshape": lambda x: ops.reshape(x, (-1, 36, 3)),
            "ops.reshape of the batch": lambda x: ops.reshape(x, (-1, 3)),
            "ops.mean": lambda x: ops.mean(x, (1, 2)),
            "ops.mean(keepdims)": lambda x: ops.mean(x, (1, 2), keepdims=True),
            "ops.mean(1)": lambda x: ops.mean(x, 1),
            "ops.clip": lambda x: ops.clip(x, 0.0, 2.0),
            "ops.clip(-1)": lambda x: ops.clip(x, -1.0, 2.0),
            "ops.maximum": lambda x: ops.maximum(x, 0.0),
            "ops.cast": lambda x: ops.cast(x, "float32"),
            "ops.cast to int": lambda x: ops.cast(ops.cast(x, "int32"), "float32"),
            "ops.gelu": ops.gelu,
            "ops.gelu(exact)": lambda x: ops.gelu(x, approximate=False),
            "ops.silu": ops.silu,
            "ops.hard_silu": ops.hard_silu,
            "ops.square": ops.square,
            "ops.average_pool": lambda x: ops.average_pool(x, 2),
            "ops.max_pool": lambda x: ops.max_pool(x, 2),
            "ops.average": lambda x: ops.average(x, axis=-1),
        }
    for name, function in functions.items():
        for place in ("image", "map"):

            def build(function=function, place=place):
                x = entry = _entry(keras)
                if place == "map":
                    x = keras.layers.Conv2D(3, 3, padding="same", activation="relu")(x)
                return keras.Model(entry, function(x))

            yield f"{name} of an {place}" if place == "image" else f"{name} of a {place}", build
    for dtype in ("uint8", "int32"):

        def integers(dtype=dtype):
            x = _entry(keras, dtype)
            return keras.Model(x, x + x)

        yield f"x + x in {dtype}", integers


def _wrappers(keras):
    layers = keras.layers

    def on(shape, make):
        return lambda: keras.Sequential([keras.Input(shape), make()])

    yield "TimeDistributed", on((5, 4), lambda: layers.TimeDistributed(layers.Dense(3)))
    images = (2, 6, 6, 3)
    yield "TimeDistributed conv", on(images, lambda: layers.TimeDistributed(layers.Conv2D(2, 3)))
    yield "Bidirectional", on((5, 4), lambda: layers.Bidirectional(layers.LSTM(3)))
    yield "RNN", on((5, 4), lambda: layers.RNN(layers.LSTMCell(3)))
    yield "Lambda", on(IMAGE, lambda: layers.Lambda(lambda t: t * 2))
    if hasattr(layers, "SpectralNormalization"):
        yield (
            "SpectralNormalization",
            on(IMAGE, lambda: layers.SpectralNormalization(layers.Conv2D(2, 3))),
        )


def _foreign(keras):
    """Yield what bears the name of a Keras class or function, and computes something else."""
    layers = keras.layers
    register = keras.utils.register_keras_serializable

    def twice(name, registered):
        base = getattr(layers, name)

        def call(self, x, *args, **kwargs):
            return 2 * base.call(self, x, *args, **kwargs)

        made = type(name, (base,), {"call": call, "__module__": "user_code"})
        return register("mine")(made) if registered else made

    options = {"Conv2D": (3, 3), "Dense": (4,), "ReLU": (), "Flatten": (), "MaxPooling2D": ()}
    for name, args in options.items():
        for registered in (True, False):

            def build(name=name, args=args, registered=registered):
                made = twice(name, registered)(*args)
                return keras.Sequential([keras.Input(IMAGE), made])

            yield f"{name}, {'registered' if registered else 'unregistered'}", build
    for name in ("relu", "gelu", "softmax", "swish", "linear"):
        for registered in (True, False):

            def own(name=name, registered=registered):
                def function(x):
                    return x * 3.0

                function.__name__ = name
                return register("mine")(function) if registered else function

            def fused(own=own):
                return keras.Sequential([keras.Input(IMAGE), layers.Conv2D(3, 3, activation=own())])

            def alone(own=own):
                return keras.Sequential([keras.Input(IMAGE), layers.Activation(own())])

            kind = "registered" if registered else "unregistered"
            yield f"function {name}, {kind}, in a Conv2D", fused
            yield f"function {name}, {kind}, in an Activation", alone

    def model_class():
        made = type("Functional", (keras.Model,), {"__module__": "user_code"})
        x = _entry(keras)
        return register("mine")(made)(x, layers.ReLU()(x))

    yield "model", model_class
