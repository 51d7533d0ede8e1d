"""``crossgrade simulate``: run a program on images."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from pipeline.cli.parameters import (
    PATH,
    backend_option,
    load_program,
    output_option,
    parents_option,
    print_notes,
    verbose_option,
)
from pipeline.messages.lines import counted


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
    from pipeline.data.array_file import load_array
    from pipeline.steps.simulation import Simulation
    from simulator.archive import write_archive

    loaded, batch = load_program(program), load_array(images)
    simulation = Simulation(loaded, host=host, reset_every=reset_every)
    _check_output(output, simulation.names, host or program)
    batch, notes = simulation.checked(batch)
    print_notes(notes)
    with _rate_bar(len(batch)) as progress:
        done = simulation.run(
            batch,
            traced=trace is not None,
            batch_size=batch_size,
            backend=backend,
            progress=progress,
        )
    print_notes(done.notes, verbose=verbose)
    if trace:
        write_archive(trace, {"kind": "trace", "layers": list(done.trace)}, done.trace)
        click.echo(f"{trace}: outputs of {counted(len(done.trace), 'layer')}", err=bool(not output))
    _write(output, done.outputs)


@contextmanager
def _rate_bar(images: int) -> Iterator[Callable[[int], None]]:
    """Show a bar with the images per second; yield a function of the images just done."""
    done, start = 0, time.monotonic()

    def rate(count: int | None) -> str:
        return f"{count / max(time.monotonic() - start, 1e-9):.0f} images/s" if count else ""

    with click.progressbar(
        length=images, label="simulating", item_show_func=rate, file=sys.stderr
    ) as bar:

        def progress(count: int) -> None:
            nonlocal done
            done += count
            bar.update(count, done)

        yield progress


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
