"""Random networks of supported layers, with the settings and samples to quantize them.

Everything follows from (seed, index), so that any network can be made again alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from conformance.values import random_images, randomize

BITS = ((8, 8, 8), (8, 8, 8), (8, 4, 4), (4, 4, 4), (8, 4, 8))
TOPOLOGIES = ("sequential", "sequential", "add", "concatenate", "temporal", "vector")
INPUTS = ("uint8", "uint8_offset", "int8", "float_unsigned", "float_signed")
LIMITS = (None, None, 6.0, 6.0, 3.75, 1.0, 2.0, 4.0, 8.0)
TABLES = ("leaky_relu", "gelu", "swish", "hard_silu")


@dataclass(eq=False)
class Network:
    """A float model with everything that quantizes and tests it.

    Attributes
    ----------
    seed, index : int
        What makes it again.
    model : tf_keras.Model
    settings : dict
        Arguments of QuantizeML's ``QuantizationParams``.
    samples, images : array
        Calibration samples, and images to compare on (frames of one stream when `temporal`).
    traits : set of str
        What the network was built to cover.
    """

    seed: int
    index: int
    model: object
    settings: dict
    samples: np.ndarray
    images: np.ndarray
    traits: set[str] = field(default_factory=set)

    @property
    def temporal(self) -> bool:
        """Whether the network remembers earlier frames."""
        return "topology temporal" in self.traits


def random_network(seed: int, index: int) -> Network:
    """Make network `index` of the run `seed`."""
    return _Builder(seed, index).build()


class _Builder:
    def __init__(self, seed, index):
        import tf_keras
        from quantizeml.layers import (
            Activation,
            BufferTempConv,
            DepthwiseBufferTempConv,
            DepthwiseConv2DTranspose,
        )

        self.layers = tf_keras.layers
        self.keras = tf_keras
        self.custom = {
            "Activation": Activation,
            "BufferTempConv": BufferTempConv,
            "DepthwiseBufferTempConv": DepthwiseBufferTempConv,
            "DepthwiseConv2DTranspose": DepthwiseConv2DTranspose,
        }
        self.seed, self.index = seed, index
        self.rng = np.random.default_rng([seed, index])
        self.traits: set[str] = set()
        self.count = 0

    def build(self):
        tf_keras = self.keras
        tf_keras.backend.clear_session()
        rng = self.rng
        topology = self.pick(TOPOLOGIES)
        kind = self.pick(INPUTS)
        bits = self.pick(BITS)
        self.note(f"topology {topology}", f"input {kind}", "bits " + "/".join(map(str, bits)))
        settings = {
            "input_weight_bits": bits[0],
            "weight_bits": bits[1],
            "activation_bits": bits[2],
            "per_tensor_activations": self.chance(0.35),
            "output_bits": 8 if self.chance(0.8) else 4,
            "input_dtype": "int8" if kind in ("int8", "float_signed") else "uint8",
        }
        if self.chance(0.15):
            settings["last_output_bits"] = int(self.pick((4, 8, 16)))
        if self.chance(0.05):
            settings["buffer_bits"] = int(self.pick((24, 28)))
        for name in ("output_bits", "last_output_bits", "buffer_bits"):
            self.note(f"{name} {settings.get(name)}")
        self.note(f"per_tensor {settings['per_tensor_activations']}")
        if topology == "vector":
            shape = (int(rng.integers(3, 40)),)
        else:
            shape = (int(rng.integers(5, 15)), int(rng.integers(5, 15)), int(self.pick((1, 2, 3))))
        dtype = "float32" if kind.startswith("float") else kind.split("_")[0]
        given = self.layers.Input(shape, dtype=dtype, name="input")
        x = self.rescaling(given, kind)
        x = self.body(x, topology)
        model = tf_keras.Model(given, x, name=f"network_{self.index}")
        self.note(*randomize(model, rng))
        samples, images = random_images(shape, kind, rng)
        return Network(self.seed, self.index, model, settings, samples, images, self.traits)

    # random choices ----------------------------------------------------------------------------
    def pick(self, options):
        return options[int(self.rng.integers(len(options)))]

    def chance(self, probability):
        return bool(self.rng.random() < probability)

    def note(self, *traits):
        self.traits.update(traits)

    def name(self, kind):
        self.count += 1
        return f"{kind}_{self.count}"

    # parts -------------------------------------------------------------------------------------
    def rescaling(self, x, kind):
        if kind == "uint8":
            return self.layers.Rescaling(self.pick((1 / 255, 1 / 128, 1.0)), name="rescaling")(x)
        if kind == "uint8_offset":
            return self.layers.Rescaling(1 / 127.5, -1, name="rescaling")(x)
        if kind == "int8":
            return self.layers.Rescaling(self.pick((1 / 128, 1 / 127)), name="rescaling")(x)
        return x

    def body(self, x, topology):
        if topology == "vector":
            for _ in range(int(self.rng.integers(1, 3))):
                x = self.dense(x, int(self.rng.integers(3, 24)), last=False)
            return self.dense(x, int(self.rng.integers(2, 11)), last=True)
        x = self.conv_block(x, first=True)
        if topology == "add":
            x = self.residual(x)
        elif topology == "concatenate":
            x = self.joined(x)
        elif topology == "temporal":
            x = self.temporal(x)
        for _ in range(int(self.rng.integers(0, 4))):
            x = self.pick((self.conv_block, self.depthwise_block, self.transposed_block))(x)
        return self.head(x)

    def conv_block(self, x, *, first=False, stride=None, filters=None, end=None):
        """Convolution, batch norm, pooling and activation in one of the usual orders."""
        size = self.pick((1, 2, 3, 3, 5, 7) if not first else (1, 3, 3, 5, 7))
        stride = stride or self.pick((1, 1, 2, 3))
        padding = "same" if end == "shape" else self.padding(x, size)
        filters = filters or int(self.rng.integers(2, 10))
        kernel = size
        if self.chance(0.1) and min(x.shape[1:3]) >= size and padding == "same":
            kernel = (size, self.pick((1, 3)))
        x = self.layers.Conv2D(
            filters,
            kernel,
            strides=stride,
            padding=padding,
            use_bias=self.chance(0.6),
            name=self.name("conv"),
        )(x)
        self.note(f"kernel {size}", f"stride {stride}", f"padding {padding}")
        return self.tail(x, end=end)

    def depthwise_block(self, x, *, stride=None):
        size = self.pick((3, 3, 5, 7))
        stride = stride or self.pick((1, 1, 2))
        x = self.layers.DepthwiseConv2D(
            size,
            strides=stride,
            padding=self.padding(x, size),
            use_bias=self.chance(0.5),
            name=self.name("dw"),
        )(x)
        if self.chance(0.5):
            x = self.tail(x)
        filters = int(self.rng.integers(2, 12))
        x = self.layers.Conv2D(filters, 1, use_bias=self.chance(0.5), name=self.name("pw"))(x)
        return self.tail(x)

    def transposed_block(self, x):
        if max(x.shape[1:3]) > 10:
            return self.conv_block(x)
        size = self.pick((2, 3, 4))
        if self.chance(0.5):
            layer = self.custom["DepthwiseConv2DTranspose"](
                size, strides=2, padding="same", use_bias=self.chance(0.5), name=self.name("dwt")
            )
        else:
            layer = self.layers.Conv2DTranspose(
                int(self.rng.integers(2, 8)),
                size,
                strides=self.pick((1, 2, 2, 3)),
                padding=self.pick(("same", "valid")),
                use_bias=self.chance(0.5),
                name=self.name("convt"),
            )
        return self.tail(layer(x), pool=False)

    def residual(self, x):
        filters = x.shape[-1]
        for _ in range(int(self.rng.integers(1, 3))):
            y = self.conv_block(x, stride=1, filters=filters, end="shape")
            x = self.layers.Add(name=self.name("add"))([x, y])
            if self.chance(0.5):
                x = self.activation(x, tables=False)
        return x

    def joined(self, x):
        a = self.conv_block(x, stride=1, end="shape")
        b = self.conv_block(x, stride=1, end="shape") if self.chance(0.6) else x
        x = self.layers.Concatenate(name=self.name("concat"))([a, b])
        return self.conv_block(x)

    def temporal(self, x):
        if self.chance(0.5):
            x = self.custom["DepthwiseBufferTempConv"](
                int(self.rng.integers(2, 5)), use_bias=self.chance(0.5), name=self.name("dwbtc")
            )(x)
            if self.chance(0.5):
                x = self.activation(x)
        x = self.custom["BufferTempConv"](
            int(self.rng.integers(2, 8)),
            int(self.rng.integers(2, 5)),
            use_bias=self.chance(0.5),
            name=self.name("btc"),
        )(x)
        return self.activation(x)

    def tail(self, x, *, pool=True, end=None):
        """Batch norm, max pool and activation; `end` "shape" keeps height and width."""
        order = self.pick(("bn pool act", "bn act pool", "pool bn act", "act"))
        for part in order.split():
            if part == "bn" and self.chance(0.7):
                x = self.layers.BatchNormalization(name=self.name("bn"))(x)
                self.note("batch norm")
            elif part == "pool" and pool and end is None and self.chance(0.5):
                x = self.pool(x)
            elif part == "act" and self.chance(0.9):
                x = self.activation(x, tables=pool)
        return x

    def pool(self, x):
        size = self.pick((2, 3))
        stride = self.pick((1, 2, 3))
        padding = self.pick(("same", "valid"))
        if min(x.shape[1:3]) < size:
            padding = "same"
        self.note(f"pool {size} stride {stride} {padding}")
        return self.layers.MaxPool2D(size, stride, padding, name=self.name("pool"))(x)

    def activation(self, x, *, tables=True):
        if tables and self.chance(0.15):
            kind = self.pick(TABLES)
            self.note(f"table {kind}")
            if kind == "leaky_relu":
                return self.layers.LeakyReLU(self.pick((0.1, 0.3)), name=self.name("leaky"))(x)
            return self.custom["Activation"](kind, name=self.name(kind))(x)
        limit = self.pick(LIMITS)
        self.note(f"relu {limit}")
        return self.layers.ReLU(limit, name=self.name("relu"))(x)

    def padding(self, x, size):
        if min(x.shape[1:3]) < size:
            return "same"
        return self.pick(("same", "same", "valid"))

    def dense(self, x, units, *, last):
        x = self.layers.Dense(units, use_bias=self.chance(0.8), name=self.name("dense"))(x)
        return x if last else self.activation(x, tables=False)

    def head(self, x):
        kind = self.pick(("gap", "gap", "flatten", "flatten", "maps", "gap_end"))
        self.note(f"head {kind}")
        if kind == "maps":
            return self.layers.Conv2D(int(self.rng.integers(2, 6)), 1, name=self.name("conv"))(x)
        if kind.startswith("gap"):
            x = self.layers.GlobalAveragePooling2D(name=self.name("gap"))(x)
        else:
            x = self.layers.Flatten(name=self.name("flatten"))(x)
        if kind == "gap_end":
            return x
        if self.chance(0.4):
            x = self.dense(x, int(self.rng.integers(3, 16)), last=False)
        if self.chance(0.3):
            x = self.layers.Dropout(0.2, name=self.name("dropout"))(x)
        x = self.dense(x, int(self.rng.integers(2, 11)), last=True)
        if self.chance(0.2):
            x = self.layers.Softmax(name="softmax")(x)
            self.note("softmax")
        return x
