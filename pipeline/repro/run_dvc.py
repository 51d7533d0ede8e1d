"""``dvc`` without what helps nobody here: ``python -m pipeline.repro.run_dvc repro``.

A stage that refuses says why itself; DVC adds which command failed. And DVC advises to push results
where there is no remote storage.
"""

from __future__ import annotations

import configparser
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from simulator.quiet_interrupt import raise_again

HINT = "Use `dvc push`"
FAILED = 1
"""Exit status where a stage failed, and has printed its own message."""


class StageFailures(logging.Filter):
    """Drops DVC's message about a stage that failed, and remembers that there was one."""

    found = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Return False for the message about a failed stage."""
        from dvc.stage.exceptions import StageCmdFailedError

        error = record.exc_info[1] if record.exc_info else None
        ours = isinstance(getattr(error, "__cause__", None), StageCmdFailedError)
        self.found = self.found or ours
        return not ours


def run(arguments: Sequence[str]) -> int:
    """Run DVC; return its exit status, or `FAILED` where a stage failed."""
    from dvc.cli import main
    from dvc.ui import ui

    raise_again()
    failures, write = StageFailures(), ui.write
    for handler in logging.getLogger("dvc").handlers:
        handler.addFilter(failures)

    def without_hint(*texts, **options):
        if not (texts and str(texts[0]).startswith(HINT)) or has_remote(Path.cwd()):
            write(*texts, **options)

    ui.write = without_hint
    status = main(list(arguments))
    return FAILED if failures.found else status


def has_remote(root: Path) -> bool:
    """Return True if the repository has a remote storage for its cache."""
    found = configparser.ConfigParser(interpolation=None, strict=False)
    found.read([root / ".dvc" / name for name in ("config", "config.local")], encoding="utf-8")
    return any("remote" in section for section in found.sections())


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
