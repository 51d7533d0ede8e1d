"""Refined models stay inside the registers of Akida 1.0, whatever their weights are."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from pipeline.chips import convert
from pipeline.config import Calibration, Quantization
from pipeline.errors import CrossgradeError, IncompatibleModelError
from pipeline.graph.forward import forward
from pipeline.quantization.quantize import quantize
from pipeline.quantization.refine.legacy_sequence import LegacySequence
from pipeline.quantization.refine.sequence import Sequence
from simulator import simulate
from simulator.errors import ProgramError
from tests.pipeline.quantization.graphs import RELU, chain, conv
from tests.pipeline.quantization.refine.test_refine import note, pictures

RULES = ("step_register", "threshold_register")
SCHEMES = ("cnn2snn", "quantizeml")
CHANGES = ("none", "tiny", "dead", "bias", "fading", "zero")
SHAPE, COUNT = (8, 8, 3), 24
SEEDS = (*range(60), 114, 124)


def drawn(seed):
    """Return a chain for Akida 1.0, how it is quantized, and what was done to its weights."""
    rng = np.random.default_rng(seed)
    scheme = SCHEMES[seed % 2]
    bits = [int(rng.choice(choice)) for choice in ((4, 8), (2, 4, 8), (1, 2, 4))]
    offset = float(rng.choice((0.0, -1.0)))
    layers = [("Rescaling", {"scale": 1 / 127.5, "offset": offset}), conv(6), relu(rng, scheme)]
    for _ in range(rng.integers(1, 4)):
        separable = rng.random() < 0.5
        attrs = {"filters": int(rng.integers(3, 9)), "kernel_size": 3, "padding": "same"}
        layers.append(("SeparableConv2D" if separable else "Conv2D", attrs))
        if rng.random() < 0.2:
            layers.append(("MaxPooling2D", {"padding": "same"}))
        layers.append(relu(rng, scheme))
    if rng.random() < 0.5 and layers[-2][0] != "MaxPooling2D":
        layers.insert(-1, ("GlobalAveragePooling2D", {}))
    else:
        layers.append(("Flatten", {}))
    layers.append(("Dense", {"units": 4}))
    change = CHANGES[seed // 2 % len(CHANGES)]
    graph = chain(*layers, shape=SHAPE, seed=seed).rewrite(lambda node: changed(node, change, rng))
    options = Quantization(
        scheme=scheme,
        input_weight_bits=bits[0],
        weight_bits=bits[1],
        activation_bits=bits[2],
        per_tensor_activations=scheme == "quantizeml",
        refine="layers",
        calibration=Calibration(batch_size=8),
    )
    return graph, options, change


def relu(rng, scheme):
    """Return a ReLU; scheme quantizeml needs a maximum."""
    others = (None, 1e-3, 100.0) if scheme == "cnn2snn" else ()
    return ("ReLU", {"max_value": rng.choice((6.0, *others))})


def changed(node, change, rng):
    """Return a layer with weights as they are when drawn, or as nobody would train them."""
    if not node.operation.neural:
        return None
    kernels = {name: node.weights[name].copy() for name in node.operation.kernels}
    bias, last = node.weights["bias"].copy(), node.operation.output_kernel
    some = rng.random(len(bias)) < 0.5
    if change == "tiny":
        kernels = {name: 10.0 ** rng.uniform(-5, 0) * kernel for name, kernel in kernels.items()}
    elif change == "dead":
        kernels[last][..., some] *= rng.choice((0, 1e-8, 1e-4))
    elif change == "bias":
        bias[some] *= 10.0 ** rng.uniform(1, 6)
    elif change == "fading":  # as untrained networks: each layer's outputs are smaller
        kernels = {name: 0.02 * kernel for name, kernel in kernels.items()}
        bias[:] = 0
    elif change == "zero":
        kernels[last] *= rng.random() < 0.7
        bias *= rng.random() < 0.5
    weights = {**kernels, "bias": bias}
    return [node.with_weights(**{key: np.float32(value) for key, value in weights.items()})]


def registers(model):
    """Return a program's limits of registers, as (layer, rule)."""
    program = convert(model, "akida_v1")
    return program, {
        (name, refusal.rule)
        for refusal in program.exceeded()
        for name in refusal.layers
        if refusal.rule in RULES
    }


def fault(seed, counts):
    """Return what is wrong with a refined model; "" if nothing. Count what was drawn."""
    graph, options, change = drawn(seed)
    counts[change, options.scheme] += 1
    samples = pictures(COUNT, seed)
    try:
        before = registers(quantize(graph, samples, replace(options, refine="none")))[1]
    except CrossgradeError as error:
        assert "refine" in str(error) or "weights" in str(error), error
        counts["refused", options.scheme] += 1
        before = None
    counts["beyond the chip unrefined"] += bool(before)
    try:
        model = quantize(graph, samples, options)
        kept = note(model).startswith("refined")
        program, after = registers(model)
    except (CrossgradeError, ProgramError) as error:
        return f"{seed} {change}: {error}"
    counts["refined"] += kept
    if before is not None and not after <= before:
        return f"{seed} {change}: {after - before}"
    simulate(program, pictures(4, seed + 1))
    return ""


@pytest.mark.slow
def test_no_register_is_exceeded_that_was_not_before():
    counts = Counter()
    faults = [found for seed in SEEDS if (found := fault(seed, counts))]
    assert not faults
    drawn_of_each = ("refused", *CHANGES)
    assert all(counts[drawn, scheme] for drawn in drawn_of_each for scheme in SCHEMES), counts
    assert counts["refined"] >= len(SEEDS) / 2 and counts["beyond the chip unrefined"]


@pytest.mark.slow
@pytest.mark.parametrize("sequence", [Sequence, LegacySequence])
def test_without_fitting_registers_are_exceeded(sequence, monkeypatch):
    monkeypatch.setattr(sequence, "_fit_registers", lambda *arguments: None)
    first = 0 if sequence is LegacySequence else 1
    faults = [found for seed in SEEDS[first:40:2] if (found := fault(seed, Counter()))]
    assert len(faults) >= 2


def test_what_no_register_holds_is_named_when_it_is_quantized():
    """Levels of the first ReLU are tiny beside those of the second."""
    graph = chain(conv(4), RELU, conv(4), RELU, ("Flatten", {}), ("Dense", {"units": 4}))
    finer = graph.node("relu_2").with_attrs(max_value=1e-7)
    graph = graph.with_nodes(finer if node.name == finer.name else node for node in graph.nodes)
    options = Quantization(scheme="cnn2snn", weight_bits=4, activation_bits=4)
    with pytest.raises(IncompatibleModelError, match=r"conv2d_3: act_step reaches .*refine=layers"):
        quantize(graph, None, options)
    refined = quantize(graph, pictures(COUNT, size=6), replace(options, refine="layers"))
    assert convert(refined, "akida_v1").by_name["conv2d_3"].act_step.max() <= 1 << 24


POOL, GAP = ("MaxPooling2D", {"padding": "same"}), ("GlobalAveragePooling2D", {"keepdims": True})
VECTOR, MAP = ("Reshape", {"target_shape": (5,)}), ("Flatten", {})
POINT = ("Reshape", {"target_shape": (1, 5)})
ENDS = {
    "a vector as a map": [MAP, ("Dense", {"units": 5}), POINT],
    "an average as a vector": [conv(5, kernel=1), GAP, VECTOR],
    "a dropout": [MAP, ("Dense", {"units": 5}), ("Dropout", {})],
    "a map": [conv(5)],
    "a pooled map": [conv(5), POOL],
    "levels, flat": [conv(5), RELU, MAP],
    "pooled levels": [conv(5), POOL, RELU, MAP],
}


OLDER = Quantization(
    activation_bits=4,
    weight_bits=4,
    per_tensor_activations=True,
    calibration=Calibration(batch_size=8),
)
REFUSED = {
    "a flat map": ([conv(5), MAP], "conv2d_4: its output is quantized"),
    "a pooled map, flat": ([conv(5), POOL, MAP], "conv2d_4: its output is quantized"),
    "levels": ([conv(5), RELU], "relu_5: its output is not quantized"),
    "levels of an average": ([conv(5), GAP, RELU, VECTOR], "relu_6: its output is not quantized"),
}


@pytest.mark.parametrize("refine", ["none", "layers"])
@pytest.mark.parametrize("end", REFUSED)
def test_ends_that_the_older_chip_lacks_are_refused_by_name(end, refine):
    layers, reason = REFUSED[end]
    graph = chain(("Rescaling", {"scale": 1 / 255}), conv(6), RELU, *layers, shape=SHAPE)
    model = quantize(graph, pictures(COUNT, 3), replace(OLDER, refine=refine))
    with pytest.raises(IncompatibleModelError, match=reason):
        convert(model, "akida_v1")


@pytest.mark.parametrize("refine", ["none", "layers"])
@pytest.mark.parametrize("end", ENDS)
def test_models_of_every_end_are_quantized_for_the_older_chip(end, refine):
    """What only moves values at the end of a model has no settings, and scales per position."""
    graph = chain(("Rescaling", {"scale": 1 / 255}), conv(6), RELU, *ENDS[end], shape=SHAPE)
    model = quantize(graph, pictures(COUNT, 3), replace(OLDER, refine=refine))
    images = pictures(COUNT, 4)
    program = convert(model, "akida_v1")
    found = simulate(program, images)
    wanted = forward(graph, images)
    assert found.size == wanted.size
    noise = np.square(found.reshape(wanted.shape) - wanted).mean()
    assert noise < 0.1 * wanted.var(), (noise, wanted.var())
