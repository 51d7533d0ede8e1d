"""``crossgrade migrate``: migrate a model to another chip, with a certificate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from pipeline.cli.migration_inputs import migration_inputs
from pipeline.cli.parameters import (
    PATH,
    input_dtype_option,
    numbers,
    output_option,
    parents_option,
    print_notes,
    reading_options,
    target_option,
)

STRATEGIES = ("exact", "relocate", "distill", "finetune")
RECALIBRATE = "bn_ridge"
HELD_OUT = 5
"""With a --gap that tunes on the images, one in this many is held out to measure."""
UNMEASURED = "ranges were measured on random images; give images of the model by --calibration"


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
    from pipeline.config.sections import Gap, Transforms
    from pipeline.errors import ConfigError, IncompatibleModelError, ModelError
    from pipeline.exporters.names import renaming_note
    from pipeline.files import write_bytes, write_json
    from pipeline.host.proposal import with_proposal
    from pipeline.host.split import (
        describe_split,
        rest_path,
        split,
        split_lines,
        write_rest,
    )
    from pipeline.migration import make_certificate, migrate
    from pipeline.migration.certificate import NAME, PAGE, describe_samples
    from pipeline.migration.page import page
    from pipeline.migration.read_back import read_back
    from pipeline.migration.recovery import (
        SEED,
        check_recovery,
        compare_recovery,
        recovered_sentence,
        recovery_sentence,
    )
    from pipeline.models.file import check_suffix, origin, read_float, write_float
    from pipeline.models.wanted import Wanted
    from pipeline.progress import epoch_line
    from pipeline.transforms import Images
    from pipeline.transforms.feeding import feeding_sentence

    source, out = Path(model), Path(output)
    folder = Path(report) if report else out.with_name(f"{out.stem}_certificate")
    check_suffix(out)
    if out.resolve() == source.resolve():
        raise ConfigError(f"{out}: is MODEL itself; give another file with -o")
    if gap != "exact" and calibration is None:
        raise ConfigError(f"--gap {gap}: needs images; give --calibration, or use --gap exact")
    if gap == "exact" and recalibrate != RECALIBRATE:
        raise ConfigError(
            f"--recalibrate: found {recalibrate}; --gap exact does not use it; leave it out"
        )
    if labels is not None and calibration is None:
        raise ConfigError("--labels: belong to images; give --calibration as well")
    if max_accuracy_drop is not None and labels is None:
        raise ConfigError(
            "--max-accuracy-drop: accuracy needs classes; give --labels as well"
            if calibration is not None
            else "--max-accuracy-drop: accuracy needs images and their classes; give --calibration"
            " and --labels as well"
        )
    if input_offset is not None and input_scale is None:
        raise ConfigError("--input-offset: belongs to a scale; give --input-scale as well")
    wanted = Wanted(input_shape=input_shape, until=until, architecture=architecture)
    try:
        graph = read_float(source, wanted)
    except ModelError as error:
        raise with_proposal(error, source, wanted, target) from error
    cut = split(source, wanted)
    beside = rest_path(cut, out, rest)
    if (tool := origin(source, wanted)) is not None:
        click.echo(f"{source}: {recovered_sentence(tool)}")
    inputs = migration_inputs(
        graph,
        calibration=calibration,
        labels=labels,
        input_dtype=input_dtype,
        input_scale=input_scale,
        input_offset=input_offset,
        quantized=tool is not None,
        output=out,
    )
    graph, chosen, given = inputs.graph, (inputs.images, inputs.labels), inputs.given
    print_notes(graph.notes)
    tuned = gap != "exact"
    # What was tuned on is not measured on: the first images are held out.
    count = min(samples, max(1, len(chosen[0]) // HELD_OUT)) if tuned else samples
    images, classes = (part if part is None else part[:count] for part in chosen)
    others = [part if part is None or not tuned else part[count:] for part in chosen]
    measured = images if given is None else given[:count]
    options = Transforms(
        gap=Gap(strategy=gap, recalibrate=recalibrate),
        names=("power_of_two_clip",) if clip else (),
        max_accuracy_drop=max_accuracy_drop,
    )
    known = Images(
        images=others[0],
        labels=others[1],
        test_images=images if classes is not None else None,
        test_labels=classes,
        progress=lambda *epoch: click.echo(epoch_line(*epoch), err=True),
    )
    recovery = None
    if tool is not None:
        # The file is quantized as a whole, and so is the model it is compared with.
        whole = graph if not until else read_float(source, replace(wanted, until=()))
        recovery = compare_recovery(source, whole, images, noise=calibration is None)
        click.echo(f"recovered model: {recovery_sentence(recovery)}")
        check_recovery(source, recovery)
    try:
        migration = migrate(graph, target, images, options, labels=classes, calibration=known)
    except IncompatibleModelError as error:
        raise with_proposal(error, source, wanted, target) from error

    def accept(path) -> None:
        read_back(path, migration.after, migration.samples)
        known = describe_samples(
            measured, source=calibration, seed=SEED, labels=classes, folder=folder
        )
        if beside is not None:
            write_rest(cut, beside)
        certificate = make_certificate(
            migration,
            model=source,
            output=out,
            written=path,
            folder=folder,
            samples=known,
            recovery=recovery,
            wanted=wanted,
            images=inputs.certified,
            split=None if cut is None else describe_split(cut, beside, folder),
        )
        # The model is renamed last, so that it never exists without a certificate.
        write_json(folder / NAME, certificate)
        write_bytes(folder / PAGE, page(certificate).encode())

    write_float(out, migration.after, accept)
    if migration.feeding:
        click.echo(f"{out}: {feeding_sentence(migration.feeding)}")
    _print(migration, len(images), out, folder / PAGE, calibration is None)
    if note := renaming_note(migration.after, out.suffix):
        click.echo(f"{out}: {note}")
    for line in split_lines(cut, beside):
        click.echo(line)
    if beside is not None:
        click.echo(f"run both: crossgrade simulate PROGRAM IMAGES --host {beside}")


def _print(migration, count, output, page, random: bool) -> None:
    from pipeline.migration.compare import CALIBRATED

    for step in migration.steps:
        click.echo(
            f"{step['transform']}: {len(step['changed'])} layers, {step['equivalence']}"
            f" (largest difference {step['max_abs_difference']:.3g})"
        )
    found = migration.outputs
    click.echo(
        f"{output}: {migration.check_after.verdict} with {migration.target},"
        f" {migration.equivalence}; on {count} samples largest difference"
        f" {found['max_abs_difference']:.3g}, agreement {found['agreement']:.2%}"
    )
    if "accuracy_before" in found:
        click.echo(
            f"accuracy {found['accuracy_before']:.4f} before, {found['accuracy_after']:.4f} after"
        )
    if random and migration.equivalence == CALIBRATED:
        click.echo(f"warning: {UNMEASURED}", err=True)
    limits = len(migration.check_after.hardware)
    if limits:
        click.echo(f"warning: {limits} hardware limits exceeded, see the certificate", err=True)
    click.echo(f"{page}: certificate")
