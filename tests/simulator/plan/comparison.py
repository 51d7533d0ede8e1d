"""Comparison of a backend with the reference: outputs, integers of layers, saturation counts."""

from __future__ import annotations

import os
from unittest import mock

import numpy as np
import pytest

from simulator import simulate
from simulator.plan import Plan, compile_program, fast_is_available

VARIABLE = "CROSSGRADE_PROCESSOR"


def _kinds() -> tuple:
    """Return the kinds of processors as backends; skipped with the reason where they cannot run."""
    if not fast_is_available():
        return (pytest.param("fast", marks=pytest.mark.skip("the extra 'fast' is not installed")),)
    from simulator.plan.fast.processor import PROCESSORS

    if os.environ.get(VARIABLE):
        return (f"fast:{os.environ[VARIABLE]}",)
    best = next(kind for kind in PROCESSORS if not kind.missing)
    return tuple(pytest.param(f"fast:{kind.name}", marks=_marks(kind, best)) for kind in PROCESSORS)


def _marks(kind, best) -> list:
    """Return the marks of a kind of processor: only the one that is chosen here is not slow."""
    lacks = ", ".join(kind.missing)
    skipped = pytest.mark.skipif(bool(lacks), reason=f"this processor lacks {lacks}")
    return [skipped] if kind is best else [skipped, pytest.mark.slow]


FAST = _kinds()
BACKENDS = ("numpy", *FAST)
"""NumPy, and the kernels of every kind of processor."""


def compiled(program, backend) -> Plan | str:
    """Return the plan of a backend; "fast:KIND" forces a kind of processor."""
    name, _, kind = backend.partition(":")
    if name in ("auto", "reference"):
        return backend
    with mock.patch.dict(os.environ, {VARIABLE: kind}):
        return compile_program(program, name)


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
    plan = compiled(program, backend) if isinstance(backend, str) else backend
    found, found_traces, found_counts = run(program, images, plan, **options)
    for name, values in traces.items():
        np.testing.assert_array_equal(found_traces[name], values, err_msg=name)
    np.testing.assert_array_equal(found, expected)
    # Without observers the fast backend runs all layers in one call.
    np.testing.assert_array_equal(simulate(program, images, backend=plan, **options), expected)
    assert found.dtype == expected.dtype
    assert found_counts == counts
