"""Comparison of a backend with the reference: outputs, integers of layers, saturation counts."""

from __future__ import annotations

import numpy as np

from simulator import simulate
from simulator.plan import fast_is_available

BACKENDS = ("numpy", "fast") if fast_is_available() else ("numpy",)


def run(program, images, backend, **options):
    """Return the outputs, every layer's integers and the saturation counts."""
    traces, counts = {}, {}

    def probe(layer, values):
        traces.setdefault(layer.name, []).append(values.copy())

    def tally(layer, stage, count):
        counts[layer.name, stage] = counts.get((layer.name, stage), 0) + count

    outputs = simulate(program, images, backend=backend, probe=probe, tally=tally, **options)
    return outputs, {name: np.concatenate(parts) for name, parts in traces.items()}, counts


def assert_same(program, images, backend, *, expected=None, **options):
    """Compare a backend with the reference, or with the result of `run` for the reference."""
    expected, traces, counts = expected or run(program, images, "reference")
    found, found_traces, found_counts = run(program, images, backend, **options)
    for name, values in traces.items():
        np.testing.assert_array_equal(found_traces[name], values, err_msg=name)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype
    assert found_counts == counts
