"""Calibration samples: check those of the user, or draw random ones."""

from __future__ import annotations

import numpy as np

from pipeline.errors import DataError
from pipeline.graph.graph import Graph
from pipeline.messages.settings import setting
from simulator.image_advice import shape_advice, type_advice
from simulator.lossless import cast_without_loss


def check_samples(graph: Graph, samples: np.ndarray, name: str | None = None) -> np.ndarray:
    """Return `samples` in the dtype of the model's input.

    Parameters
    ----------
    graph : Graph
    samples : array of shape (n, *input shape)
        For an integer input with values of its dtype; for a float input of any real dtype.
    name : str, optional
        Name of the samples in messages.

    Raises
    ------
    DataError
        If there are none, their shape or dtype is wrong, or they contain NaN or infinity.
    """
    shape, dtype = tuple(graph.input.attrs["shape"]), np.dtype(graph.input.attrs["dtype"])
    samples = samples if hasattr(samples, "shape") else np.asarray(samples)
    what = name or f"calibration samples of {graph.name}"
    if samples.shape[1:] != shape:
        wanted = ", ".join(map(str, ("n", *shape)))
        raise DataError(
            f"{what}: found shape {samples.shape}; the model's input '{graph.input.name}' needs"
            f" ({wanted}){shape_advice(samples.shape, shape)}"
        )
    if len(samples) == 0:
        raise DataError(f"{what}: found none; give at least one image, 1000 are a good number")
    if samples.dtype.kind not in "biuf":
        raise DataError(f"{what}: found {samples.dtype}; allowed: real numbers ({dtype})")
    if samples.dtype.kind == "f" and not np.isfinite(samples).all():
        count = int((~np.isfinite(samples)).sum())
        raise DataError(f"{what}: found {count} NaN or infinite values; remove these images")
    if samples.dtype == dtype or dtype.kind == "f":
        return samples if samples.dtype == dtype else samples.astype(dtype)
    cast = cast_without_loss(np.asarray(samples), dtype)
    if cast is None:
        raise DataError(
            f"{what}: found {samples.dtype} with values that {dtype} does not hold; the model's"
            f" input '{graph.input.name}' needs {dtype}{type_advice(np.asarray(samples), dtype)}"
        )
    return cast


def check_unsigned(graph: Graph, samples: np.ndarray) -> None:
    """Raise a DataError if samples of an int8 input are negative, which Akida 1.0 cannot take."""
    if graph.input.attrs["dtype"] == "int8" and (lowest := np.min(samples)) < 0:
        raise DataError(
            f"calibration samples of {graph.name}: found values down to {lowest}; Akida 1.0 takes"
            f" unsigned images, 0 to 127 of '{graph.input.name}'; shift the images and train on"
            f" them, or use {setting('quantization.scheme', 'quantizeml')}, for Akida 2.0"
        )


def random_samples(graph: Graph, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return uniform noise over the whole range of the input's dtype (0 to 255 for floats).

    Returns
    -------
    array of shape (count, *input shape), in the input's dtype
    """
    dtype = np.dtype(graph.input.attrs["dtype"])
    limits = np.iinfo(dtype if dtype.kind in "iu" else np.uint8)
    size = (count, *graph.input.attrs["shape"])
    return rng.integers(limits.min, limits.max, size, endpoint=True).astype(dtype)
