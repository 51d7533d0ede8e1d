"""Final outputs of Akida 1.0 programs compared with the fake-quantized float model."""

import numpy as np

from pipeline.chips import convert
from pipeline.config import Quantization
from pipeline.graph.architecture import build_graph
from pipeline.graph.forward import forward
from pipeline.quantization.integers import integers
from pipeline.quantization.schemes.cnn2snn import legacy
from simulator import simulate

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
