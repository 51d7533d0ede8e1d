"""The width of scaled accumulators before a look-up table, also where nothing is scaled after."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.chips import convert
from pipeline.config.sections import Calibration, Quantization
from pipeline.errors import IncompatibleModelError
from pipeline.quantization.quantize import quantize
from tests.pipeline.quantization.graphs import chain, conv

SWISH, AVERAGE = ("Activation", {"activation": "swish"}), ("GlobalAveragePooling2D", {})
IMAGES = np.random.default_rng(0).integers(0, 255, (16, 6, 6, 3), np.uint8, endpoint=True)


def quantized(bits):
    options = Quantization(buffer_bits=bits, calibration=Calibration(samples=16, batch_size=16))
    return quantize(chain(conv(4), ("ReLU", {}), conv(4), SWISH, AVERAGE), IMAGES, options)


@pytest.mark.parametrize("bits", [24, 28, 32])
def test_the_index_of_a_last_table_is_scaled_in_the_configured_width(bits):
    program = convert(quantized(bits), "akida_v2")
    table = next(
        layer for layer in program.layers if getattr(layer, "lut_values", None) is not None
    )
    assert table.output_shift is None and table.global_pool
    assert table.post_op_buffer_bits == bits


def test_two_widths_in_one_layer_are_refused():
    graph = quantized(24)
    head = next(node for node in graph.nodes if node.op == "Conv2D" and node.name != "conv2d_1")
    (table,) = (node for node in graph.nodes if node.op == "Activation")
    wider = replace(table, bits=table.bits | {"post_op_buffer": 32})
    nodes = tuple(wider if node is table else node for node in graph.nodes)
    with pytest.raises(IncompatibleModelError) as caught:
        convert(replace(graph, nodes=nodes), "akida_v2")
    assert f"24-bit products in {head.name} and 32-bit products in {table.name}" in str(
        caught.value
    )
