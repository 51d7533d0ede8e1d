"""Random layers of Akida 2.0, generated from states of registers and of neighbouring layers."""

from __future__ import annotations

from functools import cache

import numpy as np

from simulator import akida_v2
from simulator.akida_v2.output_stage import ACTIVATIONS
from simulator.integer import integer_range
from tests import builders
from tests.simulator.plan import covering, registers_akida_v2
from tests.simulator.plan.covering import Case

KINDS = tuple(kind.__name__ for kind in akida_v2.LAYERS if kind is not akida_v2.Outputs)
"""All layers but Outputs, which has no registers and reads floats."""
JOINS = ("Add", "Concatenate")
INPUTS = {
    "raw uint8": (8, False),
    "raw int8": (8, True),
    "raw int16": (16, True),
    "data 1": (1, False),
    "data 4": (4, False),
    "data 8": (8, True),
    "quantizer 4": (4, False),
    "quantizer 8": (8, False),
    "quantizer 8 signed": (8, True),
    "quantizer 8 unclipped": (8, True),
    "step 1": (1, False),
    "step 2": (2, True),
    "step 4": (4, False),
    "step 8": (8, True),
    "sums": (16, True),
}
"""What feeds a layer, with the bits and the sign of its values: the program's own input, an
InputData, a Quantizer, a layer that rounds, or one that gives its accumulators."""

VALUES = {
    "weight_bits": (1, 2, 4, 8),
    "buffer_bits": (16, 28, 32),
    "output_bits": (1, 2, 4, 8, 12, 16),
    "post_op_buffer_bits": (20, 32),
    "activation": ACTIVATIONS,
    "activation_bits": (4, 11, 16),
    "pool_size": (None, (1, 2), (2, 2), (3, 3)),
    "pool_stride": (None, (1, 1), (2, 2)),
    "pool_padding": ("same", "valid"),
    "padding": ("same", "valid"),
    "kernel_stride": ((1, 1), (2, 2), (1, 2)),
    "fifo_size": (1, 3),
    "input_value_bits": (None, 8),
    "input_bits": (1, 2, 4, 8, 16),
}
"""Drawn values of registers other than arrays and flags."""
USUAL = {
    "output_bits": ("4", "8"),
    "buffer_bits": ("28", "32"),
    "post_op_buffer_bits": ("32",),
    "activation": ("none", "relu"),
    "max_value": ("absent", "nonzero"),
    "global_pool": ("False",),
    "output_shift": ("nonzero",),
    "output_scales": ("absent", "nonzero"),
    "padding": ("same",),
    "pool_size": ("None",),
    "input_value_bits": ("None",),
}
"""States for which a layer has a proven staircase, drawn more often."""
TOGETHER = (
    ("max_value", "max_value_shift"),
    ("pool_size", "pool_stride"),
    ("activation", "lut_values", "activation_shift"),
)
"""Registers that are present together; the activation with its look-up table."""
_SCALES = {"output_scales": ("zero", "nonzero"), "output_shift": ("absent",)}
_LONE_FILTER = {"filters": ("1",), "extremes": ("dead",)}
_LONE_CHANNEL = {"channels": ("1",), "extremes": ("dead",)}
APART = {
    "": (_SCALES, _LONE_FILTER),
    **{
        kind: (_SCALES, _LONE_CHANNEL) for kind in builders.NEURAL if kind.startswith("Depthwise")
    },
    # The map of a Dense1D is one pixel, in which no valid window fits.
    "Dense1D": (
        _SCALES, _LONE_FILTER,
        {"pool_size": ("(1, 2)", "(2, 2)", "(3, 3)"), "pool_padding": ("valid",)},
        {"pool_stride": ("(1, 1)", "(2, 2)"), "pool_padding": ("valid",)},
    ),
    # No input dtype has 16 unsigned bits, and one signed bit cannot hold 1.
    "InputData": (
        {"input_bits": ("16",), "input_signed": ("False",)},
        {"input_bits": ("1",), "input_signed": ("True",)},
    ),
}  # fmt: skip
"""States that no layer of a kind has at once."""
MAPS = {"1x1": (1, 1), "odd": (5, 7), "even": (6, 8), "mixed": (5, 8)}
KERNELS = {"1x1": (1, 1), "2x2": (2, 2), "3x3": (3, 3), "5x4": (5, 4)}
STAIRS = {
    "output_shift": "nonzero", "activation": "none", "global_pool": "False", "buffer_bits": "32",
    "post_op_buffer_bits": "32", "weight_bits": "8", "output_bits": "4",
    "output_scales": "nonzero", "extremes": "none",
}  # fmt: skip
RELU = STAIRS | {"activation": "relu", "max_value": "nonzero", "pool_size": "None"}
WHOLE_TILES = STAIRS | {
    "kernel": "3x3", "channels": "32", "filters": "32", "map": "even", "kernel_stride": "(1, 1)",
    "output_bits": "8", "input": "step 8",
}  # fmt: skip
"""A convolution that the fast backend computes with Winograd's algorithm."""
FULL = STAIRS | {
    "kernel": "3x3", "channels": "35", "map": "even", "padding": "same", "weight_bits": "4",
    "input": "data 4", "input_shift": "absent", "bias_shift": "zero", "buffer_bits": "16",
    "extremes": "huge",
}  # fmt: skip
"""Sums of 315 products of 7 and 15: slightly above 2**15."""
SUMMED = {
    "global_pool": "True", "global_pool_shift": "absent", "activation": "relu",
    "buffer_bits": "32", "pool_size": "None", "bias_shift": "zero", "weight_bits": "4",
}  # fmt: skip
FOCUS = {
    "InputConv2D": (STAIRS, RELU, SUMMED, FULL, WHOLE_TILES),
    "Conv2D": (STAIRS, RELU, SUMMED, FULL, WHOLE_TILES),
    "DepthwiseConv2D": (STAIRS, RELU, SUMMED),
    "Dense1D": (STAIRS | {"input_value_bits": "None"}, RELU | {"input_value_bits": "None"}),
}
"""States of additional layers by kind: those that most programs have."""


@cache
def states_of(kind: str) -> dict[str, tuple[str, ...]]:
    """Return every trait of a layer class with its states."""
    found = covering.states(getattr(akida_v2, kind), VALUES)
    if kind == "DepthwiseConv2D":
        del found["input_shift"]
    channels, filters = ("1", "3", "32", "35"), ("1", "8", "32", "40")
    found |= {"map": tuple(MAPS), "channels": channels, "consumers": ("0", "1", "2")}
    if kind in builders.NEURAL:
        found |= {"input": tuple(INPUTS), "extremes": ("none", "dead", "huge")}
        if not kind.startswith("Depthwise"):
            found["filters"] = filters
    if kind in (*builders.CONVOLUTIONS, *builders.TRANSPOSED):
        found["kernel"] = tuple(KERNELS)
    if kind in JOINS:
        found["input"] = ("data 8", "quantizer 8", "step 4", "step 8", "sums")
    if kind == "Dequantizer":
        found |= {"input": ("step 8", "sums"), "consumers": ("0",)}
    return found


def excluded(kind: str, found: dict[str, str]) -> bool:
    """Return True if two states exclude each other, by a layer's checks or by definition."""
    for group in TOGETHER:
        if len({_present(name, found[name]) for name in group if name in found}) > 1:
            return True
    return any(
        all(found.get(name) in bad for name, bad in rule.items())
        for rule in APART.get(kind, APART[""])
    )


def _present(name: str, state: str) -> bool:
    return state == "lut" if name == "activation" else state not in ("absent", "None")


def build(kind: str, drawn: dict[str, str], rng) -> Case | None:
    """Return a program with a layer in the given states; None if its windows do not fit."""
    shape = (*MAPS[drawn["map"]], int(drawn["channels"]))
    draft = registers_akida_v2.Draft(kind, drawn, rng, shape)
    before, names, draft.range = _before(kind, drawn, rng, shape)
    subject = draft.layer(names, shape)
    if any(subject.check()):
        return None
    layers = [*before, subject, *_after(subject, int(drawn["consumers"]), rng)]
    dtype = _dtype(layers[0], drawn.get("input", ""))
    program = builders.program(layers, input_dtype=dtype)
    return Case(program, subject, _images(program, rng))


def traits(case: Case) -> dict[str, str]:
    """Return the states of all drawn traits of a layer."""
    layer, program = case.subject, case.program
    kind, known = type(layer).__name__, states_of(type(layer).__name__)
    height, width, channels = layer.input_shapes[0]
    readers = sum(layer.name in other.inputs for other in program.layers)
    sizes = {size: name for name, size in MAPS.items()}
    found = covering.registers(layer, known)
    found |= {"map": sizes[height, width], "channels": str(channels), "consumers": str(readers)}
    if "input" in known:
        found["input"] = _input(program, layer)
    if kind in builders.NEURAL:
        weights = layer.weights.reshape(-1, layer.filters)
        found |= {
            "filters": str(layer.filters),
            "extremes": covering.extremes(weights, layer.weight_bits),
        }
    if "kernel" in known:
        found["kernel"] = "x".join(map(str, layer.weights.shape[:2]))
    return found


def _input(program, layer) -> str:
    """Return the key in `INPUTS` of a layer's input."""
    if not layer.inputs:
        return f"raw {program.input_dtype}"
    source = program.by_name[layer.inputs[0]]
    if isinstance(source, akida_v2.InputData):
        return f"data {source.input_bits}"
    if isinstance(source, akida_v2.Quantizer):
        signed = " signed" if source.output_signed else "" if source.clip_at_zero else " unclipped"
        return f"quantizer {source.output_bits}{signed}"
    return "sums" if source.output_shift is None else f"step {source.output_bits}"


def _before(kind, drawn, rng, shape):
    """Return a layer's input layers, the names that it reads, and the range of their values."""
    if kind in ("Quantizer", "InputData"):
        return [], (), (0, 0)
    form = drawn["input"]
    limits = integer_range(*INPUTS[form])
    if form == "quantizer 8 unclipped":
        limits = (-256, 255)
    origin, bits = form.split()[0], INPUTS[form]
    if origin == "raw":
        return [], (), limits
    if origin == "quantizer":
        first = builders.quantizer_layer(
            rng, name="first", input_shape=shape, output_signed=form.endswith("signed"),
            clip_at_zero=not form.endswith("unclipped"), output_bits=bits[0],
        )  # fmt: skip
    else:
        bits, signed = bits if origin == "data" else (8, True)
        first = builders.input_data(name="first", input_shape=shape, bits=bits, signed=signed)
    layers = [first]
    if origin in ("step", "sums"):
        layers.append(_rounding("step", "first", shape, shape[2], rng, form, kernel=(1, 1)))
    names = (layers[-1].name,)
    if kind in JOINS:
        # The other one rounds to 8 bits, with a sign.
        other = _rounding("other", "first", shape, shape[2], rng, "step 8", kernel=(3, 3))
        layers, names = [*layers, other], (*names, "other")
    return layers, names, limits


def _rounding(name, source, shape, filters, rng, form, *, kernel):
    """Return a Conv2D with outputs of a form in `INPUTS`, whose sums reach its steps."""
    bits, signed = INPUTS[form]
    drawn = {
        "weight_bits": "4", "output_bits": str(bits), "output_signed": str(signed),
        "activation": "none" if signed else "relu", "filters": str(filters), "padding": "same",
        "bias": "nonzero", "bias_shift": "zero", "kernel": "x".join(map(str, kernel)),
        "kernel_stride": "(1, 1)", "output_shift": "absent" if form == "sums" else "nonzero",
    }  # fmt: skip
    draft = registers_akida_v2.Draft("Conv2D", drawn, rng, shape)
    draft.name, draft.range = name, (-128, 127)
    return draft.layer((source,), shape)


def _after(subject, count: int, rng) -> list:
    """Return consumers with one window or two, for which outputs are stored with padding."""
    shape, layers = subject.output_shape, []
    windows = [(3, 3), (3, 3) if rng.random() < 0.5 else (1, 1)]
    for number, kernel in enumerate(windows[:count]):
        name = f"reader {number}"
        layers.append(_rounding(name, subject.name, shape, 5, rng, "step 8", kernel=kernel))
    return layers


def _dtype(first, form: str) -> str:
    if isinstance(first, akida_v2.Quantizer):
        return "float32"
    if form.startswith("raw"):
        return form.split()[1]
    signed, bits = first.input_signed, first.input_bits
    return f"{'int' if signed else 'uint'}{8 if bits <= 8 else 16}"


def _images(program, rng) -> np.ndarray:
    """Return inputs over their full range, and beyond it if a quantizer saturates."""
    first, shape = program.layers[0], (3, *program.input_shape)
    if isinstance(first, akida_v2.Quantizer):
        points = 0 if first.zero_points is None else first.zero_points.astype(np.int64)
        low, high = integer_range(first.output_bits, first.output_signed)
        spread = rng.uniform(low - 0.1 * high - 1, 1.1 * high + 1, shape) - points
        spread[1] = high - points
        halves = np.where(rng.random(shape) < 0.3, np.rint(spread) + 0.5, spread)
        return (halves / first.scales).astype(np.float32)
    limits = np.iinfo(program.input_dtype)
    low, high = first.input_range or (limits.min, limits.max)
    images = rng.integers(low, high, shape, dtype=program.input_dtype, endpoint=True)
    images[0], images[1] = np.where(rng.random(shape[1:]) < 0.5, high, low), high
    return images
