"""Options and preparations that ``sensitivity`` and ``search`` share."""

from __future__ import annotations

import click

from pipeline.cli.bar import progress_bar
from pipeline.cli.parameters import PATH, input_dtype_option, print_notes


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


def given(model, samples, images, labels, target: str, input_dtype: str):
    """Return the model of the options, ready to be measured, and print how it was read."""
    from pipeline.steps.measuring import prepared

    found = prepared(model, samples, images, labels, target, input_dtype)
    print_notes(found.notes)
    return found


def measured_with_bar(prepared, backend: str):
    """Return what each width of each single layer costs; a bar on standard error shows progress."""
    from pipeline.steps.measuring import measured

    with progress_bar("measuring") as progress:
        return measured(prepared, backend, progress)
