"""Random layers of Akida 1.0, generated from states of registers and of neighbouring layers."""

from __future__ import annotations

from functools import cache

import numpy as np

from simulator import Program, ProgramError, akida_v1, simulate
from simulator.akida_v1.neuron import ACT_BITS, POOLS
from simulator.integer import integer_range
from tests.builders import integers
from tests.simulator.plan import covering
from tests.simulator.plan.covering import Case, literal, nonzero

KINDS = tuple(kind.__name__ for kind in akida_v1.LAYERS)
STAIRS = {
    "activation": "True", "pool_type": "none", "threshold": "nonzero", "extremes": "none",
    "weights_bits": "4",
}  # fmt: skip
BEYOND = {
    "input": "raw uint8", "weights_bits": "8", "channels": "35", "filters": "32",
    "extremes": "huge", "activation": "False", "act_step": "nonzero",
}  # fmt: skip
"""Sums beyond the integers of float32, in floats that show them."""
FOCUS = {kind: (STAIRS, STAIRS | {"pool_type": "max"}) for kind in KINDS if kind != "InputData"}
FOCUS["Convolutional"] += tuple(
    BEYOND | {"kernel": "5x4", "pool_type": pool} for pool in ("none", "average")
)
# Depthwise sums of 16 bits, which compiled kernels need.
FOCUS["SeparableConvolutional"] += tuple(
    BEYOND | {"kernel": "1x1", "pool_type": pool} for pool in ("none", "average")
)
"""States of additional layers by kind: those that most programs have."""
INPUTS = {
    "raw uint8": 8, "data 1": 1, "data 2": 2, "data 4": 4, "data 8": 8,
    "levels 1": 1, "levels 2": 2, "levels 4": 4,
}  # fmt: skip
"""What feeds a layer, with the bits of its values: the program's own input, an InputData, or the
levels of a layer before."""
VALUES = {
    "weights_bits": (1, 2, 4, 8),
    "act_bits": ACT_BITS,
    "input_bits": (1, 2, 4, 8),
    "padding": ("same", "valid"),
    "padding_value": (0, 7, 255),
    "kernel_stride": ((1, 1), (2, 2), (1, 2)),
    "pool_type": POOLS,
    "pool_size": (None, (1, 2), (2, 2), (3, 3)),
    "pool_stride": (None, (1, 1), (2, 2)),
    "threshold": ("zero", "nonzero"),
}
"""Drawn values of registers other than optional arrays and flags."""
USUAL = {
    "activation": ("True",),
    "pool_type": ("none", "max"),
    "threshold": ("nonzero",),
    "padding": ("same",),
}
"""States for which a layer has a proven staircase, drawn more often."""
MAPS = {"1x1": (1, 1), "odd": (5, 7), "even": (6, 8), "mixed": (5, 8)}
KERNELS = ("1x1", "2x2", "3x3", "5x4")
APART = (
    {"threshold_fraction": ("zero", "nonzero"), "activation": ("True",)},
    # Floats are the last layer's.
    {"activation": ("False",), "consumers": ("1", "2")},
    {"threshold_fraction": ("zero", "nonzero"), "consumers": ("1", "2")},
    {"filters": ("1",), "extremes": ("dead",)},
)
"""Pairs of states that exclude each other."""


@cache
def states_of(kind: str) -> dict[str, tuple[str, ...]]:
    """Return every trait of a layer class with its states."""
    found = covering.states(getattr(akida_v1, kind), VALUES)
    found |= {"map": tuple(MAPS), "channels": ("1", "3", "32", "35"), "consumers": ("0", "1", "2")}
    if kind != "InputData":
        found |= {"input": tuple(INPUTS), "filters": ("1", "8", "32", "40")}
        found["extremes"] = ("none", "dead", "huge")
        if kind != "FullyConnected":
            found["kernel"] = KERNELS
    return found


def excluded(kind: str, found: dict[str, str]) -> bool:
    """Return True if two states exclude each other, by a layer's checks or by definition."""
    pooled = {
        found[name] == "max" if name == "pool_type" else found[name] != "None"
        for name in ("pool_type", "pool_size", "pool_stride")
        if name in found
    }
    if len(pooled) > 1:
        return True
    if kind == "FullyConnected" and found.get("padding") == "valid" and True in pooled:
        return True  # one pixel, in which no window fits
    return any(all(found.get(name) in bad for name, bad in rule.items()) for rule in APART)


def build(kind: str, drawn: dict[str, str], rng) -> Case | None:
    """Return a program with a layer in the given states; None if its windows do not fit."""
    shape = (*MAPS[drawn["map"]], int(drawn["channels"]))
    before, bits = _before(drawn.get("input", "raw uint8"), shape, rng)
    names = tuple(layer.name for layer in before[-1:])
    if kind == "InputData":
        bits = int(drawn["input_bits"])
        subject = akida_v1.InputData(
            name="subject", inputs=(), input_shapes=(shape,), input_bits=bits
        )
    else:
        subject = _neural(kind, drawn, rng, name="subject", inputs=names, shape=shape, bits=bits)
        if any(subject.check()):
            return None
    layers = [*before, subject]
    windows = ["3x3", "3x3" if rng.random() < 0.5 else "1x1"]
    out = literal(drawn["act_bits"]) if "act_bits" in drawn else bits
    for number, kernel in enumerate(windows[: int(drawn["consumers"])]):
        layers.append(
            _neural(
                "Convolutional", PLAIN | {"kernel": kernel}, rng, name=f"reader {number}",
                inputs=("subject",), shape=subject.output_shape, bits=out,
            )
        )  # fmt: skip
    program = Program(
        name="model", target="akida_v1", input_shape=shape, input_dtype="uint8",
        output_shape=layers[-1].output_shape, layers=tuple(layers),
    )  # fmt: skip
    low, high = layers[0].input_range or (0, 255)
    images = rng.integers(low, high, (3, *shape), dtype=np.uint8, endpoint=True)
    images[0], images[1] = np.where(rng.random(shape) < 0.5, high, low), high
    try:
        simulate(program, images, backend="reference")
    except ProgramError:
        return None  # a potential of 2**28 or more
    return Case(program, subject, images)


PLAIN = {
    "weights_bits": "4", "act_bits": "4", "activation": "True", "padding": "same", "filters": "5",
    "kernel_stride": "(1, 1)", "threshold": "nonzero", "act_step": "nonzero", "kernel": "1x1",
    "pool_type": "none", "pool_size": "None", "pool_stride": "None", "extremes": "none",
}  # fmt: skip


def _before(form: str, shape, rng):
    """Return the layers before a layer, and the bits of their outputs."""
    origin, bits = form.split()[0], INPUTS[form]
    if origin == "raw":
        return [], bits
    first = akida_v1.InputData(
        name="first", inputs=(), input_shapes=(shape,), input_bits=bits if origin == "data" else 4
    )
    if origin == "data":
        return [first], bits
    drawn = PLAIN | {"act_bits": str(bits), "filters": str(shape[2])}
    step = _neural("Convolutional", drawn, rng, name="step", inputs=("first",), shape=shape, bits=4)
    return [first, step], bits


def _neural(kind, drawn, rng, *, name, inputs, shape, bits):
    """Return a layer with weights whose potentials reach its levels."""
    layer = getattr(akida_v1, kind)
    fields = {
        field: literal(now)
        for field, now in drawn.items()
        if field in layer.__dataclass_fields__ and field not in ARRAYS
    }
    width, filters, channels = int(drawn["weights_bits"]), int(drawn["filters"]), shape[2]
    window = tuple(map(int, drawn.get("kernel", "1x1").split("x")))
    if kind == "FullyConnected":
        fields["weights"] = _weights(rng, width, (1, 1, int(np.prod(shape)), filters), drawn)
    elif kind == "SeparableConvolutional":
        fields["weights"] = _weights(rng, width, (*window, channels, 1), {})
        fields["weights_pw"] = _weights(rng, width, (1, 1, channels, filters), drawn)
    else:
        fields["weights"] = _weights(rng, width, (*window, channels, filters), drawn)
    typical = _typical(fields, bits) * (12.0 if drawn["pool_type"] == "average" else 1.0)
    threshold = np.rint(rng.normal(0, 0.5, filters) * typical).astype(np.int32)
    step = typical * rng.uniform(0.05, 0.3, filters)
    if rng.random() < 0.2:
        # Some channels with extreme values.
        threshold[rng.random(filters) < 0.1] = rng.choice([-(1 << 25), 1 << 25, -1, 1])
        step[rng.random(filters) < 0.1] = rng.choice([1 << 24, 2.0**-10, 0.1])
    fields["threshold"] = threshold * 0 if drawn["threshold"] == "zero" else nonzero(threshold)
    fields["act_step"] = np.clip(step, 2.0**-20, 1 << 24).astype(np.float32)
    if (fraction := drawn.get("threshold_fraction", "absent")) != "absent":
        fields["threshold_fraction"] = rng.random(filters).astype(np.float32)
        fields["threshold_fraction"] *= fraction == "nonzero"
    return layer(name=name, inputs=inputs, input_shapes=(shape,), **fields)


ARRAYS = ("weights", "weights_pw", "threshold", "act_step", "threshold_fraction")


def _weights(rng, bits: int, shape, drawn) -> np.ndarray:
    weights = nonzero(integers(rng, bits, shape, signed=bits > 1, dtype=np.int8))
    _, high = integer_range(bits, bits > 1)
    if drawn.get("extremes") == "dead" and shape[-1] > 1:
        weights[..., 0], weights[..., 1] = 0, np.maximum(weights[..., 1], 1)
    elif drawn.get("extremes") == "huge":
        weights[..., 0] = high
    return weights


def _typical(fields, bits: int) -> np.ndarray:
    """Return the approximate magnitude of each filter's potentials, float64."""
    high = (1 << bits) - 1
    weights = fields["weights"].astype(np.float64)
    if (mixing := fields.get("weights_pw")) is not None:
        inner = np.sqrt((weights**2).sum(axis=(0, 1)))[:, 0]
        weights = inner[:, None] * mixing[0, 0]
    weights = weights.reshape(-1, weights.shape[-1])
    noise = np.sqrt((weights**2).sum(axis=0)) * high / 3.5
    return noise + np.abs(weights.sum(axis=0)) * high / 2 + 1


def traits(case: Case) -> dict[str, str]:
    """Return the states of all drawn traits of a layer."""
    layer, program = case.subject, case.program
    height, width, channels = layer.input_shapes[0]
    readers = sum(layer.name in other.inputs for other in program.layers)
    sizes = {size: name for name, size in MAPS.items()}
    found = covering.registers(layer, states_of(type(layer).__name__))
    found |= {"map": sizes[height, width], "channels": str(channels), "consumers": str(readers)}
    if isinstance(layer, akida_v1.InputData):
        return found
    weights = getattr(layer, "weights_pw", layer.weights)
    found |= {
        "filters": str(layer.filters),
        "extremes": covering.extremes(weights, layer.weights_bits),
        "input": _input(program, layer),
    }
    if not isinstance(layer, akida_v1.FullyConnected):
        found["kernel"] = "x".join(map(str, layer.weights.shape[:2]))
    return found


def _input(program, layer) -> str:
    """Return the key in `INPUTS` of a layer's input."""
    if not layer.inputs:
        return f"raw {program.input_dtype}"
    source = program.by_name[layer.inputs[0]]
    if isinstance(source, akida_v1.InputData):
        return f"data {source.input_bits}"
    return f"levels {source.act_bits}"
