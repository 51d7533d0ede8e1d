"""The levels that refining computes with are those of the emulator of Akida 1.0."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.chips import convert
from pipeline.quantization.integerize_legacy import integerize_legacy
from pipeline.quantization.refine.legacy_forward import run_chain
from pipeline.quantization.refine.refinement import refine_legacy
from pipeline.quantization.schemes.cnn2snn import discrete, prepared
from simulator import simulate
from tests.pipeline.chips.akida_v1.test_legacy_neurons import MODELS
from tests.pipeline.chips.quantized_models import chain, images, options


@pytest.mark.parametrize("refined", [False, True])
@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("name", MODELS)
def test_equal_to_the_emulator(name, bits, refined):
    graph, notes = prepared(chain(*MODELS[name], seed=len(name)))
    choices = options("cnn2snn", activation_bits=bits)
    model = discrete(graph, choices, notes, graph)
    samples = images(60)
    if refined:
        choices = replace(choices, refine="layers")
        model = refine_legacy(graph, model, samples, choices, lambda done, total: None)
    quantized = integerize_legacy(model)
    program = convert(quantized, "akida_v1")
    found = run_chain(quantized, samples)
    expected = simulate(program, samples)
    np.testing.assert_array_equal(found.reshape(expected.shape), expected)
    assert np.ptp(expected) > 0
