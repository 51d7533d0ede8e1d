"""Legacy models whose factors exceed the limit of files keep every threshold in other units."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from conformance.exports.case import equal_registers
from pipeline.chips import convert
from pipeline.config import Quantization
from pipeline.exporters.formats import export
from pipeline.graph.architecture import build_graph
from pipeline.importers import load_model
from pipeline.quantization.floats.legacy_units import _units, with_small_factors
from pipeline.quantization.integerize_legacy import integerize_legacy
from pipeline.quantization.integers import integers
from pipeline.quantization.legacy_graph import LARGEST_FACTOR
from pipeline.quantization.schemes.cnn2snn import legacy

CONV = {"Conv2D": {"filters": 6, "kernel_size": 3, "padding": "same"}}
SEPARABLE = {"SeparableConv2D": {"filters": 5, "kernel_size": 3, "padding": "same"}}
RELU, HALF = {"ReLU": {"max_value": 0.3}}, {"Rescaling": {"scale": 1 / 128, "offset": -1.0}}
END = [{"Flatten": {}}, {"Dense": {"units": 4}}]
NETS = {
    "plain": [CONV, RELU, CONV, RELU, *END],
    "rescaled": [HALF, CONV, RELU, CONV, RELU, *END],
    "separable": [HALF, CONV, RELU, SEPARABLE, RELU, *END],
    "rescaling": [{**CONV}, {"ReLU": {"max_value": 0.3, "name": "rescaling"}}, CONV, RELU, *END],
}

SIZES = ((1, 1, 1, 1), (0.1, 1, 1, 1), (1, 5e-3, 1, 1), (1, 1, 0.02, 0.1), (0.1, 1, 5e-3, 1))


def unlimited(name, factors):
    """Return a model whose kernels are multiplied by `factors`, in order, without the limit."""
    given = {"shape": [6, 6, 3], "dtype": "uint8"}
    graph = build_graph({"name": "net", "input": given, "layers": NETS[name]}, seed=1)
    sizes, changed = iter(factors), []
    for node in graph.nodes:
        kernels = [key for key in node.weights if key.endswith("kernel")]
        made = {key: np.float32(node.weights[key] * next(sizes)) for key in kernels}
        changed.append(node.with_weights(**made))
    options = Quantization(scheme="cnn2snn", weight_bits=4, activation_bits=4)
    found = legacy(graph.with_nodes(changed), options)
    quantizers = {
        (node, key): quantizer.unlimited(found.graph.node(node).weights[key])
        for (node, key), quantizer in found.quantizers.items()
    }
    return integerize_legacy(replace(found, quantizers=quantizers))


def factors(quantized):
    return [v for n in quantized.nodes for key, v in n.registers.items() if "factor" in key]


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("sizes", SIZES)
def test_an_export_is_read_as_the_same_program(tmp_path, name, sizes):
    model = unlimited(name, sizes)
    large = max(map(np.max, factors(model))) > LARGEST_FACTOR
    assert large or min(sizes) > 0.01
    changed = with_small_factors(model)
    assert (changed is model) == (not large)
    assert max(map(np.max, factors(changed))) <= LARGEST_FACTOR
    export(tmp_path / "model.h5", model, "cnn2snn")
    again = integers(load_model(tmp_path / "model.h5"))
    assert equal_registers(*(convert(found, "akida_v1") for found in (again, model)))


@pytest.mark.parametrize("excess", [(1,), (4, 0.25), (0.5, 8, 0.25), (2, 0.125, 4, 1), (16, 1, 2)])
def test_units_exceed_those_before_by_the_excess(excess):
    units = _units(excess)
    assert units[-1] == 1 and len(units) == len(excess) + 1
    for (before, after), part in zip(itertools.pairwise(units), excess, strict=True):
        assert after >= before * part
    assert units[0] == 1 or np.prod(excess) > 1


def test_activations_of_another_model_get_no_rescaling():
    model = unlimited("plain", (1e-4, 1, 1))
    entry = replace(model.nodes[0], format=replace(model.nodes[0].format, value_bits=4))
    model = replace(model, nodes=(entry, *model.nodes[1:]))
    assert with_small_factors(model) is model
