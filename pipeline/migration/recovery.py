"""Compare a float model recovered from a quantized file with the quantized model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pipeline.chips import convert, newest_for
from pipeline.errors import ModelError
from pipeline.graph.graph import Graph
from pipeline.importers import load_model
from pipeline.messages.notes import READ, Note
from pipeline.migration.compare import compare_outputs, outputs_of
from pipeline.models.file import origin, read_float
from pipeline.models.wanted import AS_IT_IS, Wanted
from pipeline.preparation.verification import random_images
from pipeline.quantization.calibrated_graph import CalibratedGraph
from pipeline.quantization.integers import integers
from simulator import simulate

RECOVERED = {
    "cnn2snn": "its rounded kernels are used, activations become ReLUs",
    "QuantizeML": "its float kernels and range maxima are used, bit widths are dropped",
}
"""What is taken from a file, by the tool that quantized it."""

RANDOM, SEED = 16, 0
LARGEST_DIFFERENCE = {8: 0.5, 4: 1.0}
"""Largest root mean square of the difference, relative to that of the file's outputs, by the
smallest bit width in a file.

The effect of rounding alone was measured on random networks without saturating biases: below 0.37
at 8 bits and 0.70 at narrower widths in 95 % of them (165 and 228 networks). Rounding does not
explain a difference above the bound; at 1 the outputs are unrelated."""


def read_compared(path, wanted: Wanted = AS_IT_IS) -> tuple[Graph, list[Note]]:
    """Return the float model in a file; a recovered one is compared with its file first, on noise.

    Parameters
    ----------
    path : path-like
        As for `pipeline.models.file.read_float`.
    wanted : Wanted

    Returns
    -------
    Graph
    list of Note
        For a quantized file: what was recovered, and how far its outputs differ.

    Raises
    ------
    ModelError
        As `read_float` and `check_recovery`.
    """
    graph = read_float(path, wanted)
    tool = origin(path, wanted)
    if tool is None:
        return graph, []
    # The file is quantized as a whole, and so is the model it is compared with.
    whole = graph if wanted.until is None else read_float(path, replace(wanted, until=None))
    found = compare_recovery(path, whole, random_images(whole, RANDOM, SEED), noise=True)
    check_recovery(path, found)
    text = f"{path}: {recovered_sentence(tool)}; recovered model: {recovery_sentence(found)}"
    return graph, [Note(kind=READ, text=text)]


def compare_recovery(path, graph: Graph, samples: np.ndarray, *, noise: bool = False) -> dict:
    """Return the differences between the quantized model of a file and the recovered float model.

    Parameters
    ----------
    path : path-like
        A file quantized by cnn2snn or QuantizeML.
    graph : Graph
        The float model.
    samples : array of shape (n, *input shape)
        Float inputs are clipped to the range that the file was calibrated on, as the file does.
    noise : bool
        True if the samples are noise. Float inputs are then drawn again, over the file's range.

    Returns
    -------
    dict
        The result of `compare_outputs`, where "before" is the quantized model on the emulator of
        ``chip``, with ``relative_difference`` (of root mean squares) and ``allowed_difference``; or
        ``refused``: why the model cannot run on these samples.
    """
    try:
        calibrated = load_model(path)
        quantized = integers(calibrated)
        chip = newest_for(quantized.scheme)
        program = convert(quantized, chip)
        samples = _within_range(samples, calibrated, noise)
        images = samples.astype(program.input_dtype)
        if not np.array_equal(images, samples):
            return {"refused": f"samples are not {program.input_dtype}"}
        emulated = simulate(program, images)
    except ValueError as error:  # base class of the pipeline's and the simulator's errors
        return {"refused": str(error).partition("\n")[0]}
    outputs = outputs_of(_without_tail(graph, calibrated), samples)
    return {
        "chip": chip,
        **compare_outputs(emulated, outputs),
        "relative_difference": _relative(emulated, outputs),
        "allowed_difference": LARGEST_DIFFERENCE[8 if _narrowest(calibrated) >= 8 else 4],
    }


def check_recovery(path, found: dict) -> None:
    """Raise if a recovered model does not compute what its file computes.

    Parameters
    ----------
    path : path-like
    found : dict
        Result of `compare_recovery`.

    Raises
    ------
    ModelError
        If the difference is above `LARGEST_DIFFERENCE`.
    """
    if "refused" in found or found["relative_difference"] <= found["allowed_difference"]:
        return
    raise ModelError(
        f"{path}: the float model recovered from it computes something else: it differs by"
        f" {found['relative_difference']:.2g} of the outputs (root mean square); allowed:"
        f" {found['allowed_difference']:g}. The quantized model relies on saturation that no float"
        " layer can carry. Migrate the float model that it was quantized from, or take the file"
        " as it is with crossgrade convert; real images instead of noise (--calibration) may"
        " differ less"
    )


def recovered_sentence(tool: str) -> str:
    """Describe what is recovered from a file that `tool` quantized."""
    return f"was quantized by {tool}; {RECOVERED[tool]}"


def recovery_sentence(found: dict) -> str:
    """Describe the result of `compare_recovery` in words."""
    if "refused" in found:
        return f"not compared with the quantized one: {found['refused']}"
    return (
        f"same class as the quantized one on {found['agreement']:.2%} of samples, largest"
        f" difference {found['max_abs_difference']:.2g} of {found['largest_output']:.3g}"
    )


def _without_tail(graph, calibrated) -> Graph:
    """Return the float model up to the last layer that is quantized in the file."""
    if not isinstance(calibrated, CalibratedGraph):
        return graph
    tail = {name for name, *_ in calibrated.float_tail}
    nodes = (node for node in graph.nodes if node.name not in tail)
    return graph.with_nodes(nodes, calibrated.graph.output)


def _within_range(samples, calibrated, noise):
    quantizer = getattr(calibrated, "input", None)
    if quantizer is None or samples.dtype.kind != "f":
        return samples
    high = quantizer.range_max
    low = (
        -np.maximum(np.abs(quantizer.range_min), high) if quantizer.signed else quantizer.range_min
    )
    if noise:
        return np.random.default_rng(0).uniform(low, high, samples.shape).astype(samples.dtype)
    return np.clip(samples, low, high).astype(samples.dtype)


def _relative(before, after) -> float:
    before = before.astype(np.float64)
    size = float(np.sqrt(np.mean(before**2)))
    difference = float(np.sqrt(np.mean((after.reshape(before.shape) - before) ** 2)))
    return difference / size if size else float(difference != 0)


def _narrowest(calibrated) -> int:
    """Return the smallest bit width of a kernel or an activation."""
    if not isinstance(calibrated, CalibratedGraph):
        return 4
    widths = [known.weight_bits for known in calibrated.nodes.values() if known.weight_bits]
    outputs = [known.output.bits for known in calibrated.nodes.values() if known.output]
    return min([*widths, *outputs])
