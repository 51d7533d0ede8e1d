"""``crossgrade simulate``: run a program on images."""

from __future__ import annotations

import sys
import time

import click

from pipeline.cli.parameters import (
    PATH,
    backend_option,
    check_scale,
    load_program,
    output_option,
    parents_option,
    print_notes,
    verbose_option,
)


@click.command()
@click.argument("program", type=PATH)
@click.argument("images", type=PATH)
@output_option("-o", "--output", help="File for the outputs (.npy; .npz for several).")
@click.option(
    "--host", type=PATH, help="The rest of the model, which runs on the program's outputs in float."
)
@output_option("--trace", help="File for every layer's integer output (.npz).")
@parents_option
@click.option("--batch-size", type=click.IntRange(1), help="Images per batch.")
@click.option(
    "--reset-every",
    type=click.IntRange(1),
    help="Images per stream of a program with buffered layers; each starts from a reset.",
)
@backend_option
@verbose_option
def command(
    program: str,
    images: str,
    output: str | None,
    host: str | None,
    trace: str | None,
    batch_size,
    reset_every,
    backend,
    verbose,
) -> None:
    """Run PROGRAM on IMAGES (.npy, NHWC, as the program takes them).

    Without -o the class of each image is printed: the index of its largest output; for a single
    output, 1 if it is above 0 (probability 0.5). For programs with buffered layers the images are
    successive frames of one stream, or of several by --reset-every.

    With --host, the file of 'crossgrade migrate --until' (.onnx, .h5, .keras, .npz) takes the
    program's outputs, and its outputs are those of the command.
    """
    import numpy as np

    from pipeline.data.array_file import load_array
    from pipeline.errors import ConfigError
    from pipeline.host.run import load_host, output_names, program_parts
    from pipeline.messages.saturation import counted, saturation_notes
    from simulator import simulate
    from simulator.archive import write_archive
    from simulator.statistics import Statistics

    loaded, batch = load_program(program), load_array(images)
    if reset_every is not None and not loaded.keeps_state:
        raise ConfigError(
            f"--reset-every: {program} has no layer with a buffer to reset; leave it out"
        )
    check_scale(batch, loaded)
    part = load_host(host) if host else None
    names = part.outputs if part else output_names(loaded)
    _check_output(output, names, host or program)
    outputs: dict[str, list] = {}
    statistics = Statistics(loaded)

    def probe(layer, values) -> None:
        outputs.setdefault(layer.name, []).append(values)

    done, start = 0, time.monotonic()

    def rate(images: int | None) -> str:
        return f"{images / max(time.monotonic() - start, 1e-9):.0f} images/s" if images else ""

    with click.progressbar(
        length=len(batch), label="simulating", item_show_func=rate, file=sys.stderr
    ) as bar:

        def progress(count: int) -> None:
            nonlocal done
            done += count
            bar.update(count, done)

        result = simulate(
            loaded,
            batch,
            batch_size=batch_size,
            reset_every=reset_every,
            probe=probe if trace else None,
            tally=statistics.tally,
            progress=progress,
            backend=backend,
        )
    found = counted(statistics, len(batch))
    print_notes(saturation_notes(found, f"{len(batch):,} images"), verbose=verbose)
    if trace:
        arrays = {name: np.concatenate(parts) for name, parts in outputs.items()}
        write_archive(trace, {"kind": "trace", "layers": list(arrays)}, arrays)
        click.echo(f"{trace}: outputs of {len(arrays)} layers", err=bool(not output))
    if part or len(names) > 1:
        parts = program_parts(loaded, result)
        _write(output, dict(zip(names, part.run(parts) if part else parts, strict=True)))
    else:
        _write(output, {names[0]: result})


def _check_output(output, names, label) -> None:
    """Refuse to print, or to write as one array, several outputs."""
    from pipeline.errors import ConfigError

    if len(names) > 1 and (output is None or not output.endswith(".npz")):
        shown = f"{', '.join(names[:4])}{' ...' * (len(names) > 4)}"
        raise ConfigError(
            f"{label}: has {len(names)} outputs ({shown}); write them to an .npz file with -o"
        )


def _write(output, results: dict) -> None:
    """Write outputs, or print the classes of the only one."""
    from pipeline.data.array_file import save_array, save_arrays
    from simulator.classes import classify

    if output is None:
        (result,) = results.values()
        click.echo("\n".join(map(str, classify(result))))
        return
    if output.endswith(".npz"):
        save_arrays(output, results)
    else:
        save_array(output, *results.values())
    for name, result in results.items():
        named = f"{name}: " if len(results) > 1 else ""
        click.echo(f"{output}: {named}{result.dtype} {result.shape}")
