"""``crossgrade migrate``: migrate a model to another chip, with a certificate."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.parameters import (
    PATH,
    input_dtype_option,
    numbers,
    output_option,
    parents_option,
    print_notes,
    reading_options,
    say,
    target_option,
)
from pipeline.steps.migration_choices import RECALIBRATE

STRATEGIES = ("exact", "relocate", "distill", "finetune")


@click.command()
@click.argument("model", type=PATH)
@output_option("-o", "--output", required=True, help="File to write: .h5, .keras, .onnx, .npz.")
@parents_option
@target_option
@click.option("--calibration", type=PATH, help="Images to verify and calibrate on (.npy).")
@click.option("--labels", type=PATH, help="Labels of the images (.npy), to measure accuracy.")
@click.option(
    "--samples",
    type=click.IntRange(1, 65536),
    default=256,
    show_default=True,
    help="Images to compare both models on.",
)
@output_option(
    "--report",
    type=click.Path(file_okay=False),
    help="Folder of the certificate.  [default: <OUTPUT>_certificate]",
)
@output_option("--rest", help="The host's part with --until.  [default: <OUTPUT>_rest beside it]")
@click.option(
    "--gap",
    type=click.Choice(STRATEGIES),
    default="exact",
    show_default=True,
    help="How to move a global average after ReLU.",
)
@click.option(
    "--recalibrate",
    type=click.Choice(["none", "bn", "ridge", "bn_ridge"]),
    default=RECALIBRATE,
    show_default=True,
    help="Compensation, except with --gap exact.",
)
@reading_options
@click.option(
    "--input-scale",
    metavar="NUMBERS",
    callback=numbers,
    help="The model was trained on pixels divided by this: read uint8 pixels. One number, or one"
    " for each channel: 58.4,57.1,57.4.",
)
@click.option(
    "--input-offset",
    metavar="NUMBERS",
    callback=numbers,
    help="... and with this added to the quotient, one number or one for each channel.",
)
@input_dtype_option
@click.option("--clip", is_flag=True, help="Raise the maximum of ReLU6 to a power of two.")
@click.option(
    "--max-accuracy-drop", type=click.FloatRange(0, 1), help="Largest loss of accuracy to accept."
)
def command(
    model,
    output,
    target,
    calibration,
    labels,
    samples,
    report,
    rest,
    gap,
    recalibrate,
    input_shape,
    until,
    architecture,
    input_scale,
    input_offset,
    input_dtype,
    clip,
    max_accuracy_drop,
) -> None:
    """Migrate MODEL, a Keras or ONNX model, to OUTPUT, which the target chip can run.

    Checks, transforms, verifies on images (random ones without --calibration), checks again, and
    only then writes the model and a certificate (JSON and HTML). If layers cannot be migrated, all
    of them are listed at once, with the largest part that can be, and nothing is written. With
    --until, the part of MODEL that follows is written too, for 'crossgrade simulate --host'.
    """
    from pipeline.errors import ConfigError
    from pipeline.exporters.names import renaming_note
    from pipeline.host.split import rest_path, split_lines
    from pipeline.migration.certificate import PAGE
    from pipeline.models.file import check_suffix
    from pipeline.models.wanted import Wanted
    from pipeline.progress import epoch_line
    from pipeline.steps.migrating import Migrated
    from pipeline.steps.migration_choices import Chosen
    from pipeline.steps.migration_task import prepare
    from pipeline.transforms.feeding import feeding_sentence

    out = Path(output)
    check_suffix(out)
    if out.resolve() == Path(model).resolve():
        raise ConfigError(f"{out}: is MODEL itself; give another file with -o")
    chosen = Chosen(
        samples=calibration,
        labels=labels,
        num_samples=samples,
        gap=gap,
        recalibrate=recalibrate,
        input_scale=input_scale,
        input_offset=input_offset,
        input_dtype=input_dtype,
        clip=clip,
        max_accuracy_drop=max_accuracy_drop,
    )
    wanted = Wanted(input_shape=input_shape, until=until, architecture=architecture)
    task = prepare(model, target, chosen, wanted)
    beside = rest_path(task.cut, out, rest)
    _print_task(task, out)
    done = Migrated(task, task.run(lambda *epoch: click.echo(epoch_line(*epoch), err=True)))
    folder = done.save(out, report=report, rest=rest)
    if done.migration.feeding:
        say(f"{out}: {feeding_sentence(done.migration.feeding)}")
    say("\n".join(done.lines(output)))
    for text in done.warnings():
        say(f"warning: {text}", err=True)
    say(f"{folder / PAGE}: certificate")
    if note := renaming_note(done.migration.after, out.suffix):
        say(f"{out}: {note}")
    for line in split_lines(task.cut, beside):
        say(line)
    if beside is not None:
        click.echo(f"run both: crossgrade simulate PROGRAM IMAGES --host {beside}")


def _print_task(task, out: Path) -> None:
    """Print how the model was read."""
    from pipeline.migration.recovery import recovered_sentence, recovery_sentence

    if task.tool is not None:
        say(f"{task.source.name}: {recovered_sentence(task.tool)}")
        say(f"recovered model: {recovery_sentence(task.recovery)}")
    if task.takes:
        say(f"{out}: {task.takes}")
    print_notes(task.notes)
