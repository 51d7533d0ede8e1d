"""Let a model of scaled float images read the pixels that these were made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.errors import ConfigError, ModelError
from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.models.input_dtype import with_input_dtype
from pipeline.preparation.editing import inserted

Numbers = float | Sequence[float]
"""One number, or one for each channel."""


def with_pixel_input(graph: Graph, scale: Numbers, offset: Numbers = 0.0) -> Graph:
    """Return a model of uint8 pixels, which `graph` gets as ``pixels / scale + offset``.

    A Rescaling after the input computes them; quantization folds it into the first layer.

    Parameters
    ----------
    graph : Graph
        A model of float images without a Rescaling of its own, which would say what they are.
    scale : float, or one for each channel
        What pixels were divided by before training; above 0.
    offset : float, or one for each channel
        What was added to the quotient.

    Raises
    ------
    ConfigError
        For a scale that is not above 0, and numbers that are not as many as channels.
    ModelError
        When the model already takes integers, or rescales its images itself.
    """
    if not np.all(np.asarray(scale) > 0):
        raise ConfigError(f"input scale: found {shown(scale)}; allowed: above 0, as 255")
    image = graph.input
    channels = graph.shapes[image.name][-1]
    for what, values in (("scale", scale), ("offset", offset)):
        if np.size(values) not in (1, channels):
            raise ConfigError(
                f"input {what}: found {np.size(values)} numbers; allowed: one, or one for each of"
                f" the {channels} channels of {image.name}, which are its last axis"
            )
    if image.attrs["dtype"] != "float32":
        raise ModelError(
            f"{image.name}: takes {image.attrs['dtype']} images; only float images have a scale"
        )
    scaled = [node.name for node in graph.consumers(image) if node.op == "Rescaling"]
    if scaled:
        raise ModelError(
            f"{scaled[0]}: rescales the images itself; give images as it expects them, without a"
            " scale"
        )
    attrs = {"scale": _plain(1 / np.asarray(scale, np.float64)), "offset": _plain(offset)}
    name = graph.part_name(image.name, "pixels")
    new = inserted(graph, image.name, make_node(name, "Rescaling", [image.name], attrs))
    return new.with_nodes([image.with_attrs(dtype="uint8"), *new.nodes[1:]])


def as_certified(graph: Graph, entry: Mapping) -> Graph:
    """Return the model of the images that the entry ``input`` of a certificate describes."""
    if pixels := entry.get("pixels"):
        return with_pixel_input(graph, **pixels)
    if "pixels" in entry:  # of an earlier version, where it was nothing for a Rescaling's pixels
        return with_input_dtype(graph, "uint8")
    chosen = entry.get("input_dtype")
    return graph if chosen is None else with_input_dtype(graph, chosen["dtype"])


def _plain(values):
    array = np.asarray(values, np.float64)
    return float(array.ravel()[0]) if array.size == 1 else tuple(map(float, array))


def shown(values: Numbers) -> str:
    """Return numbers as a user gives them."""
    return ",".join(f"{value:g}" for value in np.atleast_1d(values))


def pixels_sentence(scale: Numbers, offset: Numbers) -> str:
    """Return what a model of pixels does with them first."""
    added = f", plus {shown(offset)}" if np.any(offset) else ""
    each = " (by channel)" if max(np.size(scale), np.size(offset)) > 1 else ""
    return f"takes uint8 pixels, divided by {shown(scale)}{added}{each}"
