"""Final outputs of Akida 1.0 programs compared with the fake-quantized float model."""

import dataclasses
import json

import numpy as np
import pytest

from pipeline.chips import convert
from pipeline.config import Quantization
from pipeline.graph.architecture import build_graph
from pipeline.graph.forward import forward
from pipeline.quantization.integers import integers
from pipeline.quantization.quantize import quantize
from pipeline.quantization.schemes.cnn2snn import legacy
from simulator import Program, ProgramError, simulate
from simulator.vectors import write_vectors

OPTIONS = Quantization(scheme="cnn2snn", weight_bits=4, activation_bits=4)
DENSE = {
    "name": "dense",
    "input": {"shape": [2, 3, 4], "dtype": "uint8"},
    "layers": [{"Flatten": {}}, {"Dense": {"units": 5}}],
}


def models(rng):
    graph = build_graph(DENSE, seed=3)
    bias = rng.normal(size=5).astype(np.float32)
    graph = graph.rewrite(lambda n: [n.with_weights(bias=bias)] if n.op == "Dense" else None)
    return legacy(graph, OPTIONS)


def test_the_host_restores_the_fraction_of_the_last_threshold():
    rng = np.random.default_rng(0)
    model = models(rng)
    images = rng.integers(0, 256, (20, 2, 3, 4), dtype=np.uint8)
    expected = forward(model.fake_quantized(), images)
    outputs = simulate(convert(integers(model), "akida_v1"), images)
    # float32 rounding of one dot product of 24 terms
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-4)


def test_fitted_registers_have_integer_thresholds_only():
    rng = np.random.default_rng(0)
    quantized = integers(models(rng))
    program = convert(quantized, "akida_v1", fit_registers=True)
    assert program.layers[-1].threshold_fraction is None
    images = rng.integers(0, 256, (20, 2, 3, 4), dtype=np.uint8)
    error = simulate(program, images) - simulate(convert(quantized, "akida_v1"), images)
    potentials = error * program.layers[-1].act_step
    assert 0 < np.abs(potentials).max() < 1.01


def relu_models(seed, bits, *, per_tensor):
    """Return images, and integer models that end in a ReLU, by both schemes."""
    layers = [
        {"Conv2D": {"filters": 4, "kernel_size": 3, "padding": "same"}},
        {"ReLU": {"max_value": 6.0}},
        {"Flatten": {}},
        {"Dense": {"units": 5}},
        {"ReLU": {"max_value": 6.0}},
    ]
    image = {"shape": [6, 5, 3], "dtype": "uint8"}
    graph = build_graph({"name": "m", "input": image, "layers": layers}, seed=seed)
    images = np.random.default_rng(seed).integers(0, 256, (40, 6, 5, 3), dtype=np.uint8)
    scheme = {"weight_bits": 4, "activation_bits": bits}
    old = legacy(graph, Quantization(scheme="cnn2snn", **scheme))
    new = quantize(
        graph,
        images,
        Quantization(**scheme, per_tensor_activations=per_tensor, last_output_bits=4),
    )
    return images, old, _unsigned(new)


def _unsigned(model):
    """Return an integer model with unsigned outputs, as QuantizeML's files have after a ReLU."""
    last = model.node(model.node(model.output).inputs[0])
    changed = dataclasses.replace(last, bits={**last.bits, "output_signed": False})
    nodes = [changed if node is last else node for node in model.nodes]
    return dataclasses.replace(model, nodes=tuple(nodes))


@pytest.mark.parametrize("bits", [2, 4])
def test_a_last_relu_gives_values(bits):
    for seed in range(5):
        images, old, _ = relu_models(seed, bits, per_tensor=True)
        program = convert(integers(old), "akida_v1")
        outputs = simulate(program, images)
        expected = forward(old.fake_quantized(), images)
        step = program.output_scale[0]
        assert outputs.dtype == np.float32 and program.gives_floats
        # Thresholds are rounded to integers, which may move a value by one level.
        assert np.abs(outputs - expected).max() <= step * 1.001
        assert np.mean(np.abs(outputs - expected) < step / 100) > 0.9


@pytest.mark.parametrize("per_tensor", [True, False])
def test_a_last_relu_has_the_values_that_akida_v2_gives(per_tensor):
    for seed in range(5):
        images, _, model = relu_models(seed, 4, per_tensor=per_tensor)
        old, new = (convert(model, target) for target in ("akida_v1", "akida_v2"))
        outputs, expected = simulate(old, images), simulate(new, images)
        assert np.ptp(expected) > 0
        # Both round sums to levels: Akida 1.0's end at the ReLU's maximum, which is no level here.
        steps = model.node(model.output).registers["scales"]
        assert np.abs(outputs - expected).max() <= (steps.max() + max(old.output_scale)) / 2 + 1e-6


def test_a_program_keeps_the_unit_of_its_output(tmp_path):
    images, old, _ = relu_models(1, 4, per_tensor=True)
    program = convert(integers(old), "akida_v1")
    program.save(tmp_path / "p.npz")
    again, trace = Program.load(tmp_path / "p.npz"), []
    assert again.output_scale == program.output_scale
    found = simulate(again, images, probe=lambda layer, levels: trace.append(levels))
    np.testing.assert_array_equal(found, simulate(program, images, backend="reference"))
    assert trace[-1].dtype == np.int32 and trace[-1].max() <= 15


@pytest.mark.parametrize(
    ("scale", "found"), [((1.0, 2.0), "has 2 values"), ((0.0,), "above 0"), ((1,), "needs")]
)
def test_a_unit_that_does_not_fit_is_refused(scale, found):
    _, old, _ = relu_models(1, 4, per_tensor=True)
    program = convert(integers(old), "akida_v1")
    with pytest.raises(ProgramError, match=found):
        dataclasses.replace(program, output_scale=scale)


def test_golden_vectors_have_levels_and_their_unit(tmp_path):
    images, old, _ = relu_models(1, 4, per_tensor=True)
    program = convert(integers(old), "akida_v1")
    write_vectors(program, images[:3], tmp_path / "v")
    manifest = json.loads((tmp_path / "v/manifest.json").read_text())
    assert manifest["output_scale"] == list(program.output_scale)
    assert manifest["output"]["dtype"] == "float32"
    assert manifest["layers"][-1]["output"]["bits"] == 4
