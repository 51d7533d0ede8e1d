"""Calibration in parts, on several cores, gives the model of calibration in one."""

from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from pipeline.config.sections import Calibration, Quantization
from pipeline.graph import parts as parts_module
from pipeline.graph.parts import parts, run_parts
from pipeline.quantization.quantize import quantize
from tests.pipeline.quantization.graphs import RELU, chain, conv

GRAPH = chain(
    conv(40, 3), RELU, ("DepthwiseConv2D", {"kernel_size": (3, 3), "strides": (2, 2)}), RELU,
    conv(24, 3), RELU, ("Flatten", {}), ("Dense", {"units": 5}),
    shape=(16, 16, 3),
)  # fmt: skip
IMAGES = np.random.default_rng(0).integers(0, 256, (30, 16, 16, 3), dtype=np.uint8)
OPTIONS = Quantization(refine="none", calibration=Calibration(batch_size=16))


def ranges(options=OPTIONS):
    """Return all registers of a model, and the texts of its notes."""
    quantized = quantize(GRAPH, IMAGES, options)
    registers = {
        (node.name, name): value
        for node in quantized.nodes
        for name, value in node.registers.items()
    }
    return registers, [note.text for note in quantized.notes]


def assert_equal(found, expected):
    assert found[0].keys() == expected[0].keys()
    for key, value in expected[0].items():
        np.testing.assert_array_equal(found[0][key], value, err_msg=str(key))
    assert found[1] == expected[1]


@pytest.mark.parametrize("observer", ["ema", "max", "percentile"])
def test_parts_do_not_change_a_model(observer, monkeypatch):
    options = replace(OPTIONS, observer=observer)
    expected = ranges(options)
    monkeypatch.setattr(parts_module, "PART_VALUES", 3 * 16 * 16 * 40)
    assert len(parts(GRAPH, 16)) == 6
    assert_equal(ranges(options), expected)


def test_the_number_of_cores_does_not_change_a_model(monkeypatch):
    monkeypatch.setattr(parts_module, "PART_VALUES", 3 * 16 * 16 * 40)
    found = []
    for threads in (1, 2, 3):
        with threadpool_limits(threads):
            found.append(ranges())
    for other in found[1:]:
        assert_equal(other, found[0])


def test_parts_are_complete_and_in_order():
    many = parts(GRAPH, 1000)
    assert [number for part in many for number in range(part.start, part.stop)] == [*range(1000)]
    with threadpool_limits(3):
        assert list(run_parts(lambda part: part, many)) == many


def test_an_error_of_a_part_is_raised():
    def run(part):
        raise ValueError(f"part {part.start}")

    with threadpool_limits(2), pytest.raises(ValueError, match="part 0"):
        list(run_parts(run, [slice(0, 1), slice(1, 2), slice(2, 3)]))
