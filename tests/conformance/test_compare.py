"""The comparison finds a difference in one integer, and tolerates only float32 rounding."""

from dataclasses import replace

import numpy as np
import pytest

from conformance import backends
from conformance.compare import compare
from conformance.oracle import Tensor, Trace
from pipeline.importers import load_model
from pipeline.quantization.integerize import integerize
from simulator import simulate
from tests.pipeline.importers.keras_files import FIXTURES


@pytest.fixture
def case():
    """Return a calibrated model, a trace of QuantizeML's integers, and the images."""
    calibrated = load_model(FIXTURES / "quantized_residual.h5")
    with np.load(FIXTURES / "quantized_residual.npz") as arrays:
        recorded = {key.replace("|", "/"): arrays[key] for key in arrays.files}
    tensors = {
        node.name: Tensor(
            values=recorded[node.name].astype(np.int64),
            value_bits=node.format.value_bits,
            frac_bits=node.format.frac_bits,
            scales=node.format.scales,
        )
        for node in integerize(calibrated).nodes
        if node.name in recorded
    }
    return calibrated, Trace(tensors, {}, recorded["outputs"]), recorded["images"]


def altered(trace, name, **changes):
    tensors = {**trace.tensors, name: replace(trace.tensors[name], **changes)}
    return replace(trace, tensors=tensors)


def test_equal_integers_pass(case):
    found = compare(*case)
    assert found.passed and not found.inexact
    assert (found.tensors, found.ulps) == (11, 0)
    assert found.covered["DepthwiseConv2D", "w4", "s8", "per-axis"] == 1


@pytest.mark.parametrize("name", ["stem", "stem/relu", "dw", "pw", "pw/swish", "add", "gap"])
def test_one_different_integer_is_found(case, name):
    calibrated, trace, images = case
    values = trace.tensors[name].values.copy()
    values.flat[-1] += 1
    found = compare(calibrated, altered(trace, name, values=values), images)
    assert not found.passed
    assert name in [entry["tensor"] for entry in found.mismatches]


def test_different_scales_are_found(case):
    calibrated, trace, images = case
    scales = np.nextafter(trace.tensors["logits"].scales, np.float32(1))
    found = compare(calibrated, altered(trace, "logits", scales=scales), images)
    assert found.formats == ["logits (Dense)"]
    assert not found.passed


def test_different_floats_are_found(case):
    calibrated, trace, images = case
    off = np.nextafter(np.nextafter(trace.outputs, np.float32(9)), np.float32(9))
    assert compare(calibrated, replace(trace, outputs=off), images).ulps == 2


def test_a_backend_that_differs_is_found(case, monkeypatch):
    """An integer increased by 1 in one layer of one backend, in the run with or without probes."""
    calibrated, trace, images = case
    assert compare(calibrated, trace, images).backends == []

    def faulty(program, images, *, backend, probe=None, **options):
        if backend == "numpy" and probe is not None:
            options["probe"] = lambda layer, values: probe(layer, values + (layer.name == "pw"))
        elif probe is not None:
            options["probe"] = probe
        return simulate(program, images, backend=backend, **options)

    monkeypatch.setattr(backends, "simulate", faulty)
    found = compare(calibrated, trace, images)
    assert not found.passed
    assert {(entry["backend"], entry["tensor"]) for entry in found.backends} == {("numpy", "pw")}
