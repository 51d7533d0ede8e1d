"""Functions of one tensor between layers, as users write them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Function = Callable[[object], object]


def functions(keras) -> dict[str, Function]:
    """Return functions by name for one generation of Keras."""
    own = _of_tensorflow() if keras.__name__ == "tf_keras" else _of_keras(keras.ops)
    return {**_arithmetic(keras), **own}


def _arithmetic(keras):
    scale = np.array([0.5, 1.0, -2.0], np.float32)
    return {
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


def _of_tensorflow():
    import tensorflow as tf

    return {
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


def _of_keras(ops):
    return {
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
