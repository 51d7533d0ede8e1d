"""The ``crossgrade`` command: one module per subcommand, imported on demand."""

from pipeline.cli.main import main

__all__ = ["main"]
