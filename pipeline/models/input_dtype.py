"""The type of a float model's images: integers where the model or the samples say so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.errors import ModelError
from pipeline.graph.graph import Graph
from pipeline.graph.image_scale import expected_range
from pipeline.messages.settings import setting
from pipeline.preparation.editing import replaced
from simulator.lossless import cast_without_loss

AUTO, FLOAT = "auto", "float32"
INTEGERS = ("uint8", "int8")
INPUT_DTYPES = (AUTO, *INTEGERS, FLOAT)
PIXEL = 255


@dataclass(frozen=True, kw_only=True)
class InputDtype:
    """The type of the images.

    Attributes
    ----------
    dtype : {"uint8", "int8", "float32"}
    reason : str
        Why; empty where the file leaves no choice.
    """

    dtype: str
    reason: str

    def __str__(self) -> str:
        """Return ``takes uint8 images: rescaling expects pixels``."""
        return f"takes {self.dtype} images" + (f": {self.reason}" if self.reason else "")


def choose_input_dtype(
    graph: Graph, wanted: str = AUTO, samples: np.ndarray | None = None, name: str = "the samples"
) -> InputDtype:
    """Return the type of a model's images.

    Only float inputs leave a choice. Integers compute the same, since they are cast to floats, and
    spare the program a quantizer of its inputs.

    Parameters
    ----------
    graph : Graph
    wanted : {"auto", "uint8", "int8", "float32"}
        ``auto`` takes uint8 where a Rescaling expects pixels and the samples, if any, are whole
        numbers of 0 to 255; the type that holds the samples where these are integers; else float32.
    samples : array of shape (n, *input shape), optional
    name : str
        What to call them.

    Raises
    ------
    ModelError
        If another type is wanted than an integer input has.
    """
    given = str(graph.input.attrs["dtype"])
    if given != FLOAT:
        if wanted not in (AUTO, given):
            raise ModelError(
                f"{graph.input.name}: takes {given} images; {setting('model.input_dtype')} chooses"
                f" for float32 inputs only, found {wanted}"
            )
        return InputDtype(dtype=given, reason="")
    if wanted != AUTO:
        return InputDtype(dtype=wanted, reason=f"as {setting('model.input_dtype')} says")
    if rescales_pixels(graph):
        scaling = graph.skip_ahead(graph.input, ("Reshape", "Dropout", "ZeroPadding2D")).name
        if samples is None or _are_pixels(samples):
            return InputDtype(dtype="uint8", reason=f"{scaling} expects pixels of 0 to 255")
        return InputDtype(
            dtype=FLOAT, reason=f"{scaling} expects pixels, but {name} holds other numbers"
        )
    if samples is not None and samples.dtype.kind in "biu":
        for dtype in INTEGERS:
            if cast_without_loss(samples, dtype) is not None:
                return InputDtype(dtype=dtype, reason=f"{name} holds {samples.dtype}")
    return InputDtype(dtype=FLOAT, reason="nothing says that they are integers")


def with_input_dtype(graph: Graph, dtype: str) -> Graph:
    """Return the same model of images of another type."""
    image = graph.input
    if image.attrs["dtype"] == dtype:
        return graph
    return replaced(graph, {image.name: image.with_attrs(dtype=dtype)})


def rescales_pixels(graph: Graph) -> bool:
    """Return True if the model starts with a Rescaling of pixels of 0 to 255."""
    expected = expected_range(graph)
    return expected is not None and expected.low == 0 and bool(abs(expected.high - PIXEL) <= 1)


def _are_pixels(samples: np.ndarray) -> bool:
    return np.array_equal(samples, np.clip(np.rint(samples), 0, PIXEL))
