"""Run the pipeline with other choices: ``python -m pipeline [-m] [group=choice] [name=value]``.

Without ``-m`` the composed values go to params.yaml and `dvc repro` runs; with ``-m`` Hydra
runs one point for each combination of ``name=value,value``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pipeline.config import check
from pipeline.config.compose import compose, plain, write_params
from pipeline.config.overrides import read_overrides
from pipeline.files import PARAMS, TABLE
from pipeline.results import sweep_table
from pipeline.stage import run
from pipeline.workspace import reproduce

MULTIRUN = ("-m", "--multirun")
PARENT, STORE, ROOT = "CROSSGRADE_PARENT", "CROSSGRADE_STORE", "CROSSGRADE_ROOT"


def main() -> None:
    """Choose between one run, a sweep, and Hydra's own options."""
    arguments = sys.argv[1:]
    if any(argument in MULTIRUN for argument in arguments):
        sweep([argument for argument in arguments if argument not in MULTIRUN])
    elif any(argument.startswith("-") for argument in arguments):
        hydra_application()()  # --help, --cfg job, ...
    else:
        single(arguments)


def single(overrides: list[str]) -> None:
    """Compose, write params.yaml, run the pipeline, and show what came out."""
    values = compose(overrides)
    check(values)
    write_params(values, PARAMS)
    if overrides:
        print(f"params.yaml now holds {' '.join(overrides)}; 'python -m pipeline' restores it")
    reproduce(Path.cwd())
    print(f"\n{TABLE.read_text(encoding='utf-8')}", end="")


def sweep(overrides: list[str]) -> None:
    """Run every combination, each in its own workspace, as children of one MLflow run."""
    from pipeline.tracking import end_sweep, local_store, start_sweep

    read_overrides(overrides, Path("conf"))
    varied = dict(o.lstrip("+").split("=", 1) for o in overrides if "," in o and "=" in o)
    root = Path.cwd()
    store = os.environ.get("MLFLOW_TRACKING_URI") or local_store(root)
    name = "sweep " + " ".join(f"{key}={value}" for key, value in varied.items())
    parent = start_sweep(store, root, name, varied)
    # Launchers may run points in other processes; the environment reaches them all.
    os.environ.update({PARENT: parent, STORE: store, ROOT: str(root)})
    sys.argv[1:] = ["--multirun", *overrides]
    complete = False
    try:
        hydra_application()()
        complete = True
    finally:
        points = end_sweep(store, root, parent, complete=complete)
    print(f"\n{sweep_table(points, list(varied))}\n\nsweep: MLflow run {parent} in {store}")


def hydra_application():
    """Return the function that Hydra calls once per combination."""
    import hydra

    @hydra.main(version_base="1.3", config_path=str(Path("conf").resolve()), config_name="config")
    def point(composed) -> float:
        from hydra.core.hydra_config import HydraConfig

        from pipeline.sweep import run_point

        values = plain(composed)
        check(values)
        settings = HydraConfig.get()
        folder = Path(os.environ[ROOT]) / settings.sweep.dir / settings.sweep.subdir
        changed = " ".join(settings.overrides.task)
        accuracy = run_point(
            values,
            os.environ[ROOT],
            folder / "workspace",
            store=os.environ[STORE],
            parent=os.environ[PARENT],
        )
        print(f"{changed}: accuracy {accuracy:.4f}", flush=True)
        return accuracy

    return point


if __name__ == "__main__":
    run("pipeline", main)
