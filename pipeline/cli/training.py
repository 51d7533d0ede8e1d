"""The options of ``crossgrade quantize`` that train registers, and the training with its bar."""

from __future__ import annotations

import click

from pipeline.cli.bar import progress_bar
from pipeline.cli.parameters import PATH


def training_options(function):
    """Add the options ``train``, ``labels`` and ``epochs``."""
    train = click.option(
        "--train",
        type=click.Choice(["none", "distill", "labels"]),
        default="none",
        show_default=True,
        help="Train the integers further, on all samples: on the float model's outputs, or half on"
        " these and half on labels. Imports TensorFlow.",
    )
    labels = click.option("--labels", type=PATH, help="Labels of the samples (.npy).")
    epochs = click.option(
        "--epochs",
        type=click.IntRange(1),
        help="Epochs of --train.  [default: 5 to 40, the more the fewer samples]",
    )
    return train(labels(epochs(function)))


def trained(graph, quantized, images, labels, options):
    """Return the integer model with trained registers; arguments as `train_registers` takes."""
    from pipeline.training.registers.train import train_registers

    with progress_bar("training") as progress:
        return train_registers(graph, quantized, images, labels, options, progress=progress)[0]
