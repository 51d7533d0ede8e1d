"""Write one model in every format, read it, and compare its outputs with Keras's."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np

from pipeline.errors import CrossgradeError
from pipeline.graph.forward import forward
from pipeline.importers import load_model

SUFFIXES = ("h5", "keras")
EQUAL, HALF, REFUSED, DIFFERENT = "equal", "equal (float16)", "refused", "different"
UNBUILDABLE = "not made by Keras"
STATUSES = (EQUAL, HALF, REFUSED, DIFFERENT)
NOT_KEPT = ("foreign", "SpatialDropout1D", "SpatialDropout2D")
"""Layers that Keras writes incompletely: some user functions under the bare names of Keras's own
functions, and Keras 3 dropouts whose policy is always written as float32."""
TOLERANCE, HALF_TOLERANCE = 2e-5, 1e-2
"""Tolerances relative to the largest output: float32 sums in another order; float16 rounding."""


def examine(keras, case, folder: Path) -> dict[str, tuple[str, str]]:
    """Return (status, reason) for each format of one case.

    Parameters
    ----------
    keras : module
        ``keras`` or ``tf_keras``.
    case : Case
    folder : path
        For the files.
    """
    try:
        with _silent():
            model = case.build()
            images = _images(model)
            _set_weights(model)
            expected = _expected(model, images)
    except Exception as error:
        return dict.fromkeys(SUFFIXES, (UNBUILDABLE, _line(error)))
    results = {}
    for suffix in SUFFIXES:
        path = folder / f"model.{suffix}"
        path.unlink(missing_ok=True)
        try:
            with _silent():
                model.save(path)
        except Exception as error:
            results[suffix] = UNBUILDABLE, _line(error)
            continue
        results[suffix] = compare(path, images, expected)
        if case.group in NOT_KEPT and results[suffix][0] == DIFFERENT:
            results[suffix] = compare(path, images, _reloaded(keras, path, images))
    return results


def _reloaded(keras, path, images):
    """Return the outputs of a file that Keras itself loads without the user's code."""
    with _silent():
        return _expected(keras.models.load_model(path), images)


def compare(path: Path, images: np.ndarray, expected: np.ndarray) -> tuple[str, str]:
    """Return (status, reason) of one file."""
    try:
        graph = load_model(path)
        found = forward(graph, images)
    except CrossgradeError as error:
        return REFUSED, _line(error)
    except Exception as error:
        return DIFFERENT, f"{type(error).__name__}: {_line(error)}"
    if found.shape != expected.shape:
        return DIFFERENT, f"shape {found.shape}, Keras {expected.shape}"
    half = any("float16" in note.text for note in graph.notes)
    largest = float(np.max(np.abs(expected), initial=0))
    difference = float(np.max(np.abs(found - expected), initial=0))
    allowed = (HALF_TOLERANCE if half else TOLERANCE) * max(largest, 1e-3)
    if not difference <= allowed:
        return DIFFERENT, f"differs by {difference:.3g} where outputs reach {largest:.3g}"
    return (HALF if half else EQUAL), ""


def _images(model):
    entry = model.inputs[0] if isinstance(model.inputs, list | tuple) else model.inputs
    if isinstance(model.inputs, dict):
        entry = next(iter(model.inputs.values()))
    shape = (4, *entry.shape[1:])
    rng = np.random.default_rng(0)
    dtype = str(getattr(entry.dtype, "name", entry.dtype))
    if "int" in dtype:
        return rng.integers(0, 200, shape).astype(dtype)
    values = rng.normal(size=shape) * 2
    # Some inputs equal the limits of activations.
    values.flat[:8] = (0.0, 0.5, 1.0, 2.0, 3.0, 6.0, -0.5, -1.0)
    return values.astype(np.float32)


def _set_weights(model):
    rng = np.random.default_rng(1)
    for variable in model.weights:
        if "float" not in str(variable.dtype):
            continue
        low = 0.3 if "variance" in variable.name else -0.7
        value = rng.uniform(low, 1, tuple(variable.shape)).astype(np.float32)
        variable.assign(value.astype(str(getattr(variable.dtype, "name", variable.dtype))))
    for layer in model.layers:
        if type(layer).__name__ == "Normalization":
            layer.finalize_state()


def _expected(model, images):
    given = images
    names = getattr(model, "_inputs_struct", getattr(model, "_nested_inputs", None))
    if isinstance(names, dict):
        given = {key: images for key in names}
    found = model(given, training=False)
    while isinstance(found, dict | list | tuple):
        values = list(found.values()) if isinstance(found, dict) else list(found)
        if len(values) > 1:
            parts = [np.asarray(value, np.float64) for value in values]
            return np.concatenate([part.reshape(len(part), -1) for part in parts], 1)
        found = values[0]
    found = found.numpy() if hasattr(found, "numpy") else np.asarray(found)
    return np.asarray(found, np.float64)


def _line(error):
    return " ".join(str(error).split())[:200]


def _silent():
    return contextlib.redirect_stdout(io.StringIO())
