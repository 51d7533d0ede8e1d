"""Compare the integers of the emulator's backends on one program, layer by layer."""

from __future__ import annotations

import numpy as np

from simulator import Program, simulate
from simulator.plan import fast_is_available

COMPILED = ("numpy", "fast") if fast_is_available() else ("numpy",)
"""Backends that must compute the same integers as the reference."""


def run_backends(program: Program, images: np.ndarray) -> tuple[np.ndarray, list[dict]]:
    """Run a program on every backend and compare them with the reference.

    Every backend runs twice, with and without a probe on each layer, because plans compute less
    without a probe.

    Parameters
    ----------
    program : Program
    images : array of shape (n, *program.input_shape)

    Returns
    -------
    outputs : array of shape (n, *program.output_shape)
        Outputs of the reference.
    differences : list of dict
        One per backend and layer whose integers differ from the reference: backend, tensor,
        count, of, and the first differing value on both sides.
    """
    wanted, outputs = _probed(program, images, "reference")
    differences = []
    for backend in COMPILED:
        found, probed = _probed(program, images, backend)
        plain = simulate(program, images, backend=backend)
        found |= {"output, probed": probed, "output": plain}
        for name, values in found.items():
            expected = wanted.get(name, outputs)
            if not np.array_equal(values, expected):
                differences.append(_difference(backend, name, values, expected))
    return outputs, differences


def _probed(program, images, backend):
    tensors = {}

    def probe(layer, values):
        tensors.setdefault(layer.name, []).append(np.array(values))

    outputs = simulate(program, images, backend=backend, probe=probe)
    return {name: np.concatenate(parts) for name, parts in tensors.items()}, outputs


def _difference(backend, name, found, expected):
    where = np.argwhere(found != expected)
    first = tuple(int(n) for n in where[0])
    return {
        "backend": backend,
        "tensor": name,
        "count": len(where),
        "of": expected.size,
        "ours": found[first].item(),
        "reference": expected[first].item(),
        "at": first,
    }
