"""Complete models: nesting, sharing, named outputs, arithmetic, user classes and functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from conformance.keras_options.functions import functions

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
    for name, function in functions(keras).items():
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
    """Yield classes and functions with a name of Keras that compute something else."""
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
