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


def check_training(train: str, labels, epochs, samples, parity: bool) -> None:
    """Refuse training that lacks images, labels or TensorFlow, and its options without it."""
    from pipeline.errors import ConfigError
    from pipeline.packages import require

    if train == "none":
        options = (("--labels", labels), ("--epochs", epochs))
        if found := [name for name, given in options if given is not None]:
            raise ConfigError(f"{', '.join(found)}: without a training; give --train as well")
        return
    wrong = (
        ("with --parity, whose integers are QuantizeML's", parity),
        ("without --samples, on which it trains", not samples),
        ("without --labels", train == "labels" and not labels),
    )
    if found := [text for text, is_wrong in wrong if is_wrong]:
        raise ConfigError(f"--train {train}: not {'; not '.join(found)}; allowed: none")
    require("tensorflow", f"--train {train}")


def read_labels(path, graph, images):
    """Return the labels of a file, or None; refuse those that do not fit the model and images."""
    from pipeline.data.array_file import load_array
    from pipeline.preparation.head import cut_head
    from pipeline.quantization.samples import check_samples
    from pipeline.training.losses import fit_targets

    if path is None:
        return None
    labels, teacher = load_array(path), cut_head(graph)[0]
    fit_targets(teacher, check_samples(graph, images), labels, "training")
    return labels


def trained(graph, quantized, images, labels, options):
    """Return the integer model with trained registers; arguments as `train_registers` takes."""
    from pipeline.training.registers.train import train_registers

    with progress_bar("training") as progress:
        return train_registers(graph, quantized, images, labels, options, progress=progress)[0]
