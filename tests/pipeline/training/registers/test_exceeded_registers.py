"""Training keeps registers inside those of Akida 1.0 where the model is one for it."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.config import Calibration, Quantization
from pipeline.quantization.quantize import quantize
from pipeline.training.registers.train import exceeds_registers
from tests.pipeline.quantization.graphs import RELU, chain, conv

GRAPH = chain(conv(4), RELU, conv(4), RELU, ("Flatten", {}), ("Dense", {"units": 4}))
IMAGES = np.random.default_rng(0).integers(0, 256, (24, 6, 6, 3), np.uint8)


def quantized(scheme, *, per_tensor=True):
    options = Quantization(
        scheme=scheme,
        weight_bits=4,
        activation_bits=4,
        per_tensor_activations=per_tensor,
        calibration=Calibration(batch_size=8),
    )
    return quantize(GRAPH, IMAGES, options)


def larger(model, name, power):
    """Return a model whose layer has steps larger by a power of two."""

    def register(node):
        if node.name != name:
            return node
        registers = dict(node.registers)
        if "output_shift" in registers:
            registers["output_shift"] = (registers["output_shift"] - power).astype(np.int8)
        else:
            registers["step"] = registers["step"] * np.float32(2.0**power)
        return replace(node, registers=registers)

    return replace(model, nodes=tuple(map(register, model.nodes)))


@pytest.mark.parametrize(
    ("scheme", "power"), [("cnn2snn", 14), ("cnn2snn", 30), ("quantizeml", 14)]
)
def test_steps_that_outgrow_the_chip_are_noticed(scheme, power):
    """The chip's width, or beyond what any register holds."""
    start = quantized(scheme)
    outgrown = larger(start, "relu_4", power)
    assert exceeds_registers(outgrown, start)
    assert not exceeds_registers(start, start) and not exceeds_registers(outgrown, outgrown)


def test_models_for_akida_2_are_not_held_to_the_older_chip():
    start = quantized("quantizeml", per_tensor=False)
    assert not exceeds_registers(larger(start, "relu_4", 14), start)
