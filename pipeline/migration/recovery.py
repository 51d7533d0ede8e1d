"""How a float model that was recovered from a quantized file compares with that file."""

from __future__ import annotations

import numpy as np

from pipeline.chips import convert, newest_for
from pipeline.graph.graph import Graph
from pipeline.importers import load_model
from pipeline.migration.compare import compare_outputs, outputs_of
from pipeline.quantization.integers import integers
from simulator import simulate


def compare_recovery(path, graph: Graph, samples: np.ndarray) -> dict:
    """Return differences between the quantized model of a file and the float one made from it.

    Parameters
    ----------
    path : path-like
        A file that cnn2snn or QuantizeML quantized.
    graph : Graph
        The float model.
    samples : array of shape (n, *input shape)

    Returns
    -------
    dict
        As `compare_outputs` gives, before is the quantized model, run on the emulator of ``chip``;
        or ``refused``: why it cannot be run on these samples.
    """
    try:
        quantized = integers(load_model(path))
        chip = newest_for(quantized.scheme)
        program = convert(quantized, chip)
        images = samples.astype(program.input_dtype)
        if not np.array_equal(images, samples):
            return {"refused": f"samples are not {program.input_dtype}"}
        emulated = simulate(program, images)
    except ValueError as error:  # the base of this package's errors and the simulator's
        return {"refused": str(error).partition("\n")[0]}
    return {"chip": chip, **compare_outputs(emulated, outputs_of(graph, samples))}


def recovery_sentence(found: dict) -> str:
    """Return what `compare_recovery` has found in words."""
    if "refused" in found:
        return f"not compared with the quantized one: {found['refused']}"
    return (
        f"same class as the quantized one on {found['agreement']:.2%} of samples, largest"
        f" difference {found['max_abs_difference']:.2g} of {found['largest_output']:.3g}"
    )
