"""Options and helpers that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.errors import ConfigError
from pipeline.messages.lines import INDENT, wrapped, wrapped_lines


class _File(click.Path):
    """A file; what reads or writes it refuses a folder, and says what the folder is."""

    def __init__(self):
        super().__init__()
        self.name = "file"


PATH = _File()

target_option = click.option(
    "--target",
    envvar="CROSSGRADE_TARGET",
    default="akida_v2",
    show_default=True,
    show_envvar=True,
    help="Chip to convert to.",
)


backend_option = click.option(
    "--backend",
    type=click.Choice(["auto", "fast", "numpy", "reference"]),
    default="auto",
    show_default=True,
    help="Backend of the emulator; integers are the same.",
)


PARENTS = "crossgrade.parents"


def _in_a_folder(context, parameter, value):
    """Refuse a folder, and a path in a missing folder that may not be created, before any work."""
    if value is not None and parameter.type is PATH and Path(value).is_dir():
        raise ConfigError(f"{parameter.opts[-1]} {value}: is a folder; name a file in it")
    if value is None or context.meta.get(PARENTS) or Path(value).parent.is_dir():
        return value
    raise ConfigError(
        f"{parameter.opts[-1]} {value}: the folder {Path(value).parent} does not exist; create it,"
        " or add --parents"
    )


def output_option(*names, **settings):
    """Return an option for a path to write, whose folder must exist; see `parents_option`."""
    settings.setdefault("type", PATH)
    return click.option(*names, callback=_in_a_folder, **settings)


def _parents(context, parameter, value) -> None:
    context.meta[PARENTS] = value


parents_option = click.option(
    "--parents",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_parents,
    help="Create missing folders of the files to write.",
)


verbose_option = click.option("-v", "--verbose", is_flag=True, help="Print notes with all details.")


def reading_options(function):
    """Add the options about what a model file leaves open, named as in `Wanted`."""
    shape = click.option(
        "--input-shape",
        metavar="SIZES",
        callback=_sizes,
        help="Sizes of one image where the file leaves them open, in its order: 3,224,224.",
    )
    until = click.option(
        "--until",
        metavar="NODE",
        multiple=True,
        help="Read the model up to this node; several times for several outputs.",
    )
    architecture = click.option(
        "--architecture",
        metavar="JSON|NAME",
        help="For a file of weights only: the model's JSON (model.to_json()), or an architecture.",
    )
    return shape(until(architecture(function)))


def _sizes(context, parameter, value):
    if value is None:
        return None
    sizes = [int(part) if part.strip().isdecimal() else 0 for part in value.split(",")]
    if not all(0 < size < 2**31 for size in sizes):
        raise click.BadParameter(f"{value!r} is no list of sizes such as 3,224,224")
    return tuple(sizes)


def numbers(context, parameter, value):
    """Return a number, or a tuple of them where a text has several; None for None."""
    if value is None:
        return None
    try:
        found = tuple(float(part) for part in value.split(","))
    except ValueError:
        found = ()
    if not found or not all(abs(number) < 1e30 for number in found):
        raise click.BadParameter(f"{value!r} is no number, and no list such as 58.4,57.1,57.4")
    return found if len(found) > 1 else found[0]


input_dtype_option = click.option(
    "--input-dtype",
    type=click.Choice(["auto", "uint8", "int8", "float32"]),
    default="auto",
    show_default=True,
    help="Images that a model of float inputs takes. auto: integers where its Rescaling expects"
    " pixels or the samples are integers.",
)


def named_model(model, parameters, input_shape, until, architecture=None, input_dtype=None):
    """Return the graph of an architecture with its parameters, or of a file; print its notes.

    With `input_dtype`, the value of ``--input-dtype``, the images of a float model are chosen.
    """
    from pipeline.graph.architecture_file import is_architecture
    from pipeline.models.file import origin
    from pipeline.models.opened import open_float
    from pipeline.models.wanted import Wanted

    wanted = Wanted(input_shape=input_shape, until=until, architecture=architecture)
    graph, notes = open_float(model, parameters, wanted)
    print_notes(notes)
    if input_dtype is None or not (is_architecture(model) or origin(model, wanted) is None):
        return graph
    return typed(graph, input_dtype, model)


def typed(graph, wanted: str, model: str, samples=None, name: str = ""):
    """Return a float model of the images that `wanted` says, and print which they are.

    Parameters
    ----------
    graph : Graph
    wanted : str
        The value of the option.
    model : str
        What to call the model.
    samples : array, optional
    name : str
        What to call the samples.
    """
    from pipeline.messages.notes import INPUT, Note
    from pipeline.models.input_dtype import choose_input_dtype, with_input_dtype

    chosen = choose_input_dtype(graph, wanted, samples, name)
    if chosen.reason:
        print_notes([Note(kind=INPUT, text=f"{model} {chosen}")])
    return with_input_dtype(graph, chosen.dtype)


def warn(lines) -> None:
    """Print lines to standard error, marked as warnings."""
    for line in lines:
        _echo("warning", line)


def print_notes(notes, *, verbose: bool = False) -> None:
    """Print notes and warnings to standard error, with their details if `verbose`."""
    for note in notes:
        _echo(note.level, note.text)
        for line in note.details if verbose else ():
            _echo("", line)


def say(text: str, *, err: bool = False) -> None:
    """Print sentences, wrapped to the width of a terminal; tables and commands are not for this."""
    click.echo(wrapped_lines(text), err=err)


def _echo(mark: str, text: str) -> None:
    click.echo(wrapped(text, f"{mark}: " if mark else INDENT), err=True)


def load_any(path, input_shape=None, until=None, architecture=None):
    """Return a model of any phase, as `pipeline.models.opened.open_model`, by options."""
    from pipeline.models.opened import open_model
    from pipeline.models.wanted import Wanted

    return open_model(path, Wanted(input_shape=input_shape, until=until, architecture=architecture))


def load_program(path):
    """Return the program in a file, as `pipeline.models.program.open_program`."""
    from pipeline.models.program import open_program

    return open_program(path)
