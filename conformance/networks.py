"""Random networks of supported layers, with the settings and samples to quantize them.

(seed, index) determine a network, so that any one can be reproduced by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from conformance import layers
from conformance.draft import Draft
from conformance.values import random_images, randomize
from pipeline.graph.graph import Graph

BITS = ((8, 8, 8), (8, 8, 8), (8, 4, 4), (4, 4, 4), (8, 4, 8), (4, 8, 8))
INPUTS = ("uint8", "int8", "float_unsigned", "float_signed")
TOPOLOGIES = ("maps",) * 8 + ("temporal",) * 4 + ("vector", "flat")
RESCALINGS = ("plain", "plain", "offset", "channels", "channels and offset")
BLOCKS = (
    layers.conv_block,
    layers.conv_block,
    layers.depthwise_block,
    *(layers.transposed_block,) * 3,
    layers.residual_block,
    layers.concatenated_block,
    layers.branched_block,
)
TAILS = ("softmax", "sigmoid", "reshape", "softmax reshape", "dropout softmax", "reshape softmax")


@dataclass(frozen=True, eq=False)
class Network:
    """Float model with the settings and data to quantize and compare it.

    Attributes
    ----------
    seed, index : int
        Reproduce it.
    graph : Graph
    settings : dict
        Arguments of QuantizeML's ``QuantizationParams``.
    samples, images : array
        Calibration samples, and images to compare on (frames of one stream if `temporal`).
    traits : set of str
        Features that the network contains.
    """

    seed: int
    index: int
    graph: Graph
    settings: dict
    samples: np.ndarray
    images: np.ndarray
    traits: set[str] = field(default_factory=set)

    @property
    def temporal(self) -> bool:
        """True if the network has buffered layers."""
        return "temporal" in self.traits


def random_network(seed: int, index: int) -> Network:
    """Return network `index` of the run with `seed`."""
    draft = Draft(seed, index)
    # Kinds and widths rotate, so that few networks cover every pair.
    kind, bits = INPUTS[index % len(INPUTS)], BITS[index // len(INPUTS) % len(BITS)]
    settings = _settings(draft, kind, bits)
    topology = draft.pick(TOPOLOGIES)
    if topology == "flat" and kind != "float_signed":
        topology = "vector"  # QuantizeML does not flatten rescaled or shifted inputs
    draft.note(f"topology {topology}", f"input {kind}")
    shape = _shape(draft, topology)
    given = draft.start(shape, "float32" if kind.startswith("float") else kind)
    _head(draft, _BODIES[topology](draft, _rescaled(draft, given, kind)))
    graph = randomize(draft.graph, draft)
    samples, images = random_images(shape, kind, draft)
    return Network(seed, index, graph, settings, samples, images, draft.traits)


def _settings(draft, kind, bits):
    settings = {
        "input_weight_bits": bits[0],
        "weight_bits": bits[1],
        "activation_bits": bits[2],
        "per_tensor_activations": draft.chance(0.35),
        "output_bits": 8 if draft.chance(0.8) else 4,
        "input_dtype": "int8" if kind in ("int8", "float_signed") else "uint8",
    }
    if draft.chance(0.15):
        settings["last_output_bits"] = draft.pick((4, 8, 16))
    if draft.chance(0.05):
        settings["buffer_bits"] = draft.pick((24, 28))
    for name in ("output_bits", "last_output_bits", "buffer_bits"):
        draft.note(f"{name} {settings.get(name)}")
    draft.note("bits " + "/".join(map(str, bits)))
    draft.note(f"per_tensor {settings['per_tensor_activations']}")
    return settings


def _shape(draft, topology):
    if topology == "vector":
        return (draft.between(3, 40),)
    shape = (_side(draft), _side(draft), draft.pick((1, 2, 3, 3, 5)))
    if draft.chance(0.05):
        shape = (1, 1, shape[2])
    draft.note("map 1x1" if shape[:2] == (1, 1) else "map of pixels")
    for length in shape[:2]:
        draft.note("odd map" if length % 2 else "even map")
    return shape


def _side(draft):
    return draft.between(5, 15) if draft.chance(0.85) else draft.between(1, 5)


def _rescaled(draft, x, kind):
    """Rescale integers always, as Keras requires, and floats sometimes."""
    if kind.startswith("float") and draft.chance(0.65):
        return x
    if "topology flat" in draft.traits:
        return x
    way, channels = draft.pick(RESCALINGS), draft.shape(x)[-1]
    scale, offset = draft.pick((1 / 255, 1 / 128, 1.0)), 0.0
    if kind.startswith("float"):
        scale = draft.pick((0.5, 1 / 3, 2.0))
    if "channels" in way and channels > 1:
        scale = tuple(float(scale * draft.pick((0.5, 1.0, 3.0))) for _ in range(channels))
    if "offset" in way:
        offset = draft.pick((-1.0, 0.5, -0.3))
        if "channels" in way and channels > 1:
            offset = tuple(draft.pick((-1.0, 0.5, -2.1, 0.0)) for _ in range(channels))
    draft.note(f"rescaling {way}")
    return draft.add("Rescaling", x, scale=scale, offset=offset)


def _maps(draft, x):
    plain = draft.graph.node(x).op == "Input"
    if plain and "input float_signed" in draft.traits and draft.chance(0.3):
        # Any layer takes signed floats; only some layers can absorb a zero point.
        x = draft.pick(BLOCKS)(draft, x)
    else:
        x = layers.conv_block(draft, x, first=True, activated=draft.chance(0.5))
    for _ in range(draft.between(0, 4)):
        x = draft.pick(BLOCKS)(draft, x)
    return x


def _temporal(draft, x):
    if draft.chance(0.85):
        x = layers.conv_block(draft, x, first=True)
    for _ in range(draft.between(1, 3)):
        x = layers.temporal_block(draft, x)
    return draft.pick(BLOCKS)(draft, x) if draft.chance(0.4) else x


def _flat(draft, x):
    return _vector(draft, draft.add("Flatten", x))


def _vector(draft, x):
    for _ in range(draft.between(1, 3)):
        x = layers.dense(draft, x, draft.between(3, 24))
        x = layers.activation(draft, x)
    return x


_BODIES = {"maps": _maps, "temporal": _temporal, "vector": _vector, "flat": _flat}


def _head(draft, x):
    if len(draft.shape(x)) == 3:
        kind = draft.pick(("gap", "gap", "flatten", "flatten", "maps", "gap_end", "reshape"))
        draft.note(f"head {kind}")
        if kind == "maps":
            return _float_tail(draft, _last_maps(draft, x))
        if kind == "reshape":
            size = int(np.prod(draft.shape(x)))
            x = draft.add(
                "Reshape", x, target_shape=draft.pick(((size,), (size,), (size,), (1, 1, size)))
            )
        else:
            x = draft.add("GlobalAveragePooling2D" if "gap" in kind else "Flatten", x)
        if kind == "gap_end":
            return x
        if len(draft.shape(x)) == 3:
            x = draft.add("Conv2D", x, filters=draft.between(2, 11), kernel_size=1)
            return _float_tail(draft, x)
        if draft.chance(0.4):
            x = layers.dense(draft, x, draft.between(3, 16))
            x = layers.activation(draft, x)
    if draft.chance(0.3):
        x = draft.add("Dropout", x, rate=0.2)
    return _float_tail(draft, layers.dense(draft, x, draft.between(2, 11)))


def _last_maps(draft, x):
    """End in a convolution, or in the sum of two."""
    filters = draft.between(2, 6)
    y = draft.add("Conv2D", x, filters=filters, kernel_size=1)
    if draft.chance(0.5):
        return y
    return draft.add("Add", y, draft.add("Conv2D", x, filters=filters, kernel_size=1))


def _float_tail(draft, x):
    """Add layers that run on the host: softmax, dropout, reshaping."""
    if draft.chance(0.6):
        return x
    kind = draft.pick(TAILS)
    for part in kind.split():
        if part == "reshape":
            size = int(np.prod(draft.shape(x)))
            x = draft.add("Reshape", x, target_shape=draft.pick(((1, size), (size,))))
        elif part == "sigmoid":
            x = draft.add("Activation", x, activation="sigmoid")
        elif part == "dropout":
            x = draft.add("Dropout", x, rate=0.1)
        else:
            x = draft.add("Softmax", x)
    draft.note(f"tail {kind}")
    return x
