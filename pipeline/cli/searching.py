"""Options and preparations that ``sensitivity`` and ``search`` share."""

from __future__ import annotations

import click

from pipeline.cli.bar import progress_bar
from pipeline.cli.parameters import PATH, input_dtype_option, load_any, read_classes, typed

HELD_OUT = 5
"""One sample in so many, the last ones, is measured on where no images are given."""


def searching_options(function):
    """Add the options about images and the chip."""
    for option in (
        click.option("--target", default="akida_v2", show_default=True, help="Chip."),
        click.option("--labels", type=PATH, help="Classes of the images (.npy, integers)."),
        click.option(
            "--images",
            type=PATH,
            help="Images to measure on (.npy). [default: the last fifth of the samples]",
        ),
        input_dtype_option,
        click.option("--samples", type=PATH, required=True, help="Calibration images (.npy)."),
    ):
        function = option(function)
    return function


def prepared(
    model: str, samples: str, images: str | None, labels: str | None, target: str, input_dtype: str
):
    """Return the variants of a model, and the images and labels to measure on.

    Parameters
    ----------
    model, samples : str
    images, labels : str or None
    target, input_dtype : str
        Values of the options.

    Raises
    ------
    ModelError, DataError, ConfigError
        If the model is quantized, or labels are given without their images.
    """
    from pipeline.analysis.variants import variants
    from pipeline.config import Calibration, Quantization
    from pipeline.data.array_file import load_array
    from pipeline.errors import ConfigError, ModelError
    from pipeline.graph.graph import Graph
    from pipeline.quantization.samples import check_samples

    if labels is not None and images is None:
        raise ConfigError("--labels: belong to images; give --images as well")
    graph = load_any(model)
    if not isinstance(graph, Graph):
        raise ModelError(f"{model}: is quantized; give the float model that it was made from")
    calibration = load_array(samples)
    graph = typed(graph, input_dtype, model, calibration, samples)
    if images is None:
        count = max(len(calibration) // HELD_OUT, 1)
        calibration, inputs = calibration[:-count], calibration[-count:]
    else:
        inputs = load_array(images)
    inputs = check_samples(graph, inputs, images or samples)
    options = Quantization(calibration=Calibration(samples=len(calibration)))
    made = variants(graph, calibration, options, target)
    return made, inputs, read_classes(labels, graph, inputs)


def measured(variants, inputs, classes, backend: str = "auto"):
    """Return what each width of each single layer costs; a bar on standard error shows progress."""
    from pipeline.analysis.sensitivity import measure

    with progress_bar("measuring") as progress:
        return measure(variants, inputs, classes, backend=backend, progress=progress)
