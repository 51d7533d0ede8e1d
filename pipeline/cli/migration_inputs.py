"""The images of ``crossgrade migrate``: what the models take, and what they are compared on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import click

from pipeline.cli.parameters import print_notes


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a migration compares both models on.

    Attributes
    ----------
    graph : Graph
        The model to migrate, of the images that were chosen.
    images, labels : array
        In the type of its input; labels may be None.
    given : array or None
        The user's images as they are in the file.
    certified : dict
        What the certificate says about the images.
    """

    graph: Any
    images: Any
    labels: Any
    given: Any
    certified: dict[str, Any] = field(default_factory=dict)


def migration_inputs(
    graph, *, calibration, labels, input_dtype, input_scale, input_offset, quantized, output
) -> Inputs:
    """Choose the images of a model, read those of the user, and print what was chosen.

    Parameters
    ----------
    graph : Graph
    calibration, labels : path or None
    input_dtype, input_scale, input_offset
        Values of the options.
    quantized : bool
        The model was recovered from a quantized file, whose images are known.
    output : path
        What to call the new model.

    Raises
    ------
    ConfigError, DataError, ModelError
    """
    from pipeline.data.array_file import load_array
    from pipeline.errors import ConfigError
    from pipeline.migration.pixel_input import pixels_sentence, with_pixel_input
    from pipeline.models.input_dtype import choose_input_dtype, with_input_dtype

    if input_scale is not None and input_dtype != "auto":
        raise ConfigError("--input-scale: makes a model of uint8 pixels; leave --input-dtype out")
    if quantized and (input_scale is not None or input_dtype != "auto"):
        name = "--input-dtype" if input_scale is None else "--input-scale"
        raise ConfigError(f"{name}: is for float models; a quantized file says what it takes")
    given = None if calibration is None else load_array(calibration)
    if input_scale is not None:
        pixels = {"scale": input_scale, "offset": input_offset or 0.0}
        graph, certified = with_pixel_input(graph, **pixels), {"pixels": pixels}
        click.echo(f"{output}: {pixels_sentence(**pixels)}")
    elif quantized:
        certified = {}
    else:
        chosen = choose_input_dtype(graph, input_dtype, given, str(calibration))
        if chosen.reason:
            click.echo(f"{output}: {chosen}")
        certified = {"input_dtype": {"dtype": chosen.dtype, "reason": chosen.reason}}
        graph = with_input_dtype(graph, chosen.dtype)
    images, classes = _samples(graph, given, calibration, labels)
    return Inputs(graph=graph, images=images, labels=classes, given=given, certified=certified)


def _samples(graph, given, calibration, labels):
    """Return the user's images and labels as the model takes them, or noise and None."""
    import numpy as np

    from pipeline.data.array_file import load_array
    from pipeline.data.labels import check_labels
    from pipeline.graph.image_scale import expected_range, input_notes
    from pipeline.migration.recovery import RANDOM, SEED
    from pipeline.preparation.verification import random_images
    from pipeline.quantization.samples import check_samples

    if given is None:
        return random_images(graph, RANDOM, SEED), None
    images = check_samples(graph, given, calibration)
    print_notes(input_notes(images, expected_range(graph), calibration))
    if labels is None:
        return images, None
    outputs = int(np.prod(graph.shapes[graph.output]))
    return images, check_labels(
        load_array(labels), name=labels, images=len(images), outputs=outputs
    )
