"""The group of subcommands, whose modules are imported only to run them or to show their help."""

from __future__ import annotations

import importlib
import sys
from difflib import get_close_matches

import click

COMMANDS = {
    "check": "List a float model's violations of a chip's rules, and repairs.",
    "migrate": "Migrate a float model to another chip, with a certificate.",
    "verify": "Recompute a certificate, and check the files against it.",
    "unfuse": "Split the separable convolutions of a model file.",
    "quantize": "Quantize a float model to integers.",
    "convert": "Convert a quantized model to a chip's program.",
    "export": "Write a quantized model in a format of the vendor's packages.",
    "simulate": "Run a program on images, bit-exact.",
    "summary": "Print a program's layers and the chip's limits that it exceeds.",
    "diff": "Compare two programs layer by layer, and on images.",
    "analyze": "Measure what quantization costs in each layer, and why.",
    "sensitivity": "Measure what fewer bits cost in each single layer.",
    "search": "Find widths per layer that lose least within a budget.",
    "compare": "Find where two models, programs, traces or golden vectors first differ.",
    "describe": "Print a model's layers, shapes, parameters and MACs.",
    "init": "Make a folder in which the pipeline runs.",
    "serve": "Serve a program over HTTP on this machine.",
    "ui": "Open MLflow's pages on the recorded runs.",
    "track": "Record the runs that MLflow is still missing.",
    "sweeps": "List the folders of sweeps and their sizes, or remove them.",
    "vectors": "Write golden vectors for firmware and RTL tests.",
}
"""Lines of the help, by subcommand, which is also the name of its module."""


class LazyGroup(click.Group):
    """A group that imports its commands on demand."""

    def list_commands(self, context) -> list[str]:
        """Return the names in the order of a model's workflow."""
        return list(COMMANDS)

    def get_command(self, context, name: str) -> click.Command | None:
        """Import and return one command."""
        if name not in COMMANDS:
            return None
        return importlib.import_module(f"pipeline.cli.{name}").command

    def resolve_command(self, context, args):
        """Return the command that `args` begin with; suggest one for a mistyped name."""
        try:
            return super().resolve_command(context, args)
        except click.UsageError as error:
            near = get_close_matches(args[0], COMMANDS, n=1)
            error.message += f" Did you mean '{near[0]}'?" if near else ""
            raise

    def invoke(self, context):
        """Run a command; messages name settings by the command's options."""
        from pipeline.cli.options import option_name
        from pipeline.messages.settings import named_by

        with named_by(option_name):
            return super().invoke(context)

    def format_commands(self, context, formatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="crossgrade", prog_name="crossgrade")
def cli() -> None:
    """Migrate Keras models between Akida 1.0 and 2.0, and run them bit-exactly.

    Nothing here needs TensorFlow, a board, or closed software.
    """


def main() -> None:
    """Run the command line; print refusals as one message, with exit status 1."""
    from pipeline.ending import EXPECTED, INTERRUPTED, REFUSED, ending
    from simulator.atomic_file import finished_files
    from simulator.quiet_interrupt import raise_again

    with finished_files() as finished:
        try:
            raise_again()
            sys.exit(cli.main(standalone_mode=False) or 0)
        except click.exceptions.Exit as stop:
            sys.exit(stop.exit_code)
        except click.Abort:
            sys.exit(_end(*ending(KeyboardInterrupt(), finished)))
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except BrokenPipeError:
            sys.exit(REFUSED)
        except EXPECTED as error:
            message, status = ending(error, finished)
            sys.exit(_end(message if status == INTERRUPTED else f"error: {message}", status))


def _end(message: str, status: int) -> int:
    from pipeline.messages.lines import wrapped_lines

    click.echo(wrapped_lines(message), err=True)
    return status
