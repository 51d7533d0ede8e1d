"""Let a model of scaled float images read the pixels that these were made of."""

from __future__ import annotations

from pipeline.errors import ConfigError, ModelError
from pipeline.graph.build import make_node
from pipeline.graph.graph import Graph
from pipeline.preparation.editing import inserted


def with_pixel_input(graph: Graph, scale: float, offset: float = 0.0) -> Graph:
    """Return a model of uint8 pixels, which `graph` gets as ``pixels / scale + offset``.

    A Rescaling after the input computes them; quantization folds it into the first layer.

    Parameters
    ----------
    graph : Graph
        A model of float images without a Rescaling of its own, which would say what they are.
    scale : float
        What pixels were divided by before training; above 0.
    offset : float
        What was added to the quotient.

    Raises
    ------
    ConfigError
        For a scale that is not above 0.
    ModelError
        When the model already takes integers, or rescales its images itself.
    """
    if not scale > 0:
        raise ConfigError(f"input scale: found {scale:g}; allowed: above 0, as 255")
    image = graph.input
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
    attrs = {"scale": 1 / scale, "offset": float(offset)}
    name = graph.part_name(image.name, "pixels")
    new = inserted(graph, image.name, make_node(name, "Rescaling", [image.name], attrs))
    return new.with_nodes([image.with_attrs(dtype="uint8"), *new.nodes[1:]])


def pixels_sentence(scale: float, offset: float) -> str:
    """Return what a model of pixels does with them first."""
    return f"takes uint8 pixels, divided by {scale:g}" + (f", plus {offset:g}" if offset else "")
