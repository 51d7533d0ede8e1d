"""Exports that are impossible are refused before any training."""

import pytest

from pipeline.config import Config, Quantization
from pipeline.config.sections import Export
from pipeline.errors import IncompatibleModelError
from pipeline.exporters.dry_run import check_exports
from pipeline.graph.architecture import build_graph


def graph(dtype):
    layers = [{"Conv2D": {"filters": 4, "kernel_size": 3}}, {"ReLU": {}}, {"Flatten": {}}]
    spec = {"name": "net", "input": {"shape": [8, 8, 3], "dtype": dtype}}
    return build_graph({**spec, "layers": [*layers, {"Dense": {"units": 3}}]})


def config(*formats, **options):
    return Config(export=Export(formats=formats), quantization=Quantization(**options))


def test_a_model_that_can_be_exported_passes():
    check_exports(graph("uint8"), config("quantizeml"))
    check_exports(graph("uint8"), config("cnn2snn", scheme="cnn2snn", activation_bits=4))


def test_a_model_that_cannot_be_exported_is_refused():
    with pytest.raises(IncompatibleModelError, match="int16 inputs"):
        check_exports(graph("int16"), config("quantizeml"))


def test_what_quantizing_refuses_is_left_to_it():
    check_exports(graph("uint8"), config("quantizeml", last_output_bits=None, scheme="other"))
