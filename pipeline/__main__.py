"""Run the pipeline with other choices: ``python -m pipeline [-m] [group=choice] [name=value]``.

Without ``-m`` the composed values go to params.yaml and `dvc repro` runs; with ``-m`` Hydra
runs one point for each combination of ``name=value,value``; ``--search budget=number`` finds widths
of single layers, and sweeps over them.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from pipeline.config import check
from pipeline.config.compose import compose, write_params
from pipeline.ending import REFUSED
from pipeline.errors import ConfigError
from pipeline.files import PARAMS, TABLE
from pipeline.messages.lines import wrapped
from pipeline.repro.workspace import StageFailed, check_cache, prepare_without_git, reproduce
from pipeline.stage import run

MULTIRUN = ("-m", "--multirun")
GOES_ON = "the same command goes on after the stages that are done"


def main() -> None:
    """Choose between one run, a sweep, and Hydra's own options."""
    arguments = sys.argv[1:]
    if any(argument in MULTIRUN for argument in arguments):
        from pipeline.sweeps.launch import launch

        launch([argument for argument in arguments if argument not in MULTIRUN])
    elif "--search" in arguments:
        from pipeline.sweeps.width_search import search

        search(arguments)
    elif any(argument.startswith("-") for argument in arguments):
        show()  # --help, --cfg job, ...
    else:
        single(arguments)


def single(overrides: list[str]) -> None:
    """Compose, write params.yaml, run the pipeline, and print the results."""
    _refuse_sweep_options(overrides)
    values = compose(overrides)
    check(values)
    root = Path.cwd()
    check_cache(root)
    write_params(values, PARAMS)
    if overrides:
        held = f"params.yaml now holds {' '.join(overrides)}; 'python -m pipeline' restores it"
        print(wrapped(held))
    if prepare_without_git(root):
        logging.info("no git here: .dvc/config.local now tells DVC so")
    try:
        reproduce(root)
    except StageFailed:
        sys.exit(REFUSED)  # the stage has printed why
    except KeyboardInterrupt:
        raise KeyboardInterrupt(GOES_ON) from None
    print(f"\n{TABLE.read_text(encoding='utf-8')}", end="")


def _refuse_sweep_options(overrides: list[str]) -> None:
    """Refuse options of Hydra's launchers and sweepers, which a single run would ignore."""
    found = [o for o in overrides if o.lstrip("+~").startswith(("hydra.", "hydra/"))]
    if found:
        raise ConfigError(
            f"{', '.join(found)}: only a sweep takes options of Hydra; add -m, or leave this out"
        )


def show() -> None:
    """Handle Hydra's own options; the pipeline does not run."""
    import hydra

    config = str(Path("conf").resolve())
    hydra.main(version_base="1.3", config_path=config, config_name="config")(lambda _: None)()


if __name__ == "__main__":
    run("pipeline", main)
