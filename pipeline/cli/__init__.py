"""The ``crossgrade`` command: one module per subcommand, loaded when it is called."""

from pipeline.cli.main import main

__all__ = ["main"]
