"""Entry point of a sweep: Hydra composes and launches the points, MLflow records them."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline import files
from pipeline.config import check
from pipeline.config.compose import check_front, compose, plain
from pipeline.config.layer_overrides import PREFIX, decode, encode
from pipeline.config.overrides import read_overrides, with_quoted_paths
from pipeline.errors import ConfigError, CrossgradeError, UnknownKeyError
from pipeline.messages.notes import Note
from pipeline.repro.workspace import check_cache
from pipeline.sweeps.display import Display
from pipeline.sweeps.outcome import FAILED, FINISHED
from pipeline.sweeps.pareto import terminal_table
from pipeline.sweeps.recorder import PAGE, Recorder, record_sweep, write_comparison
from pipeline.sweeps.sweep import FOLDER_OVERRIDE, Sweep, make_folders, open_sweep
from pipeline.sweeps.total import count_points
from pipeline.tracking.address import chosen_store
from pipeline.tracking.store import StoreUnavailable

OBJECTIVES = "--objectives"
GOES_ON = "the same command goes on with the sweep"
RAY_INIT = "hydra.launcher.ray.init."
DEFAULT_OBJECTIVES = ("accuracy", "weight_bytes")
ALLOWED_OBJECTIVES = (
    "accuracy",
    "agreement",
    "mean_absolute_error",
    "weight_bytes",
    "macs",
    "effective_macs",
    "energy_proxy",
    "sparsity",
    "saturated",
)


def launch(arguments: Sequence[str], pages: Mapping[str, str] | None = None) -> None:
    """Run every combination, each in its own workspace, as children of one MLflow run.

    The same command resumes an interrupted sweep.

    Parameters
    ----------
    arguments : sequence of str
        Overrides with several values each, options of Hydra's launchers and sweepers, and
        ``--objectives name,name``: the values that an optimizer gets from each point.
    pages : mapping of str to str, optional
        Names and texts of HTML pages to keep and record with the sweep.

    Raises
    ------
    ConfigError
        For unknown names, before anything runs. Impossible points do not raise.
    CrossgradeError
        When points failed or were not reached; the same command retries them.
    KeyboardInterrupt
        Saying that the same command resumes.
    """
    objectives, overrides = _objectives(arguments)
    root = Path.cwd()
    overrides = with_quoted_paths(overrides)
    read_overrides(overrides, root / "conf")
    check_front(overrides, root / "conf")
    _check_names(overrides)
    check_cache(root)
    store = chosen_store(root)
    with open_sweep(root, overrides, objectives=objectives, store=store) as (sweep, begun):
        make_folders(sweep)
        for name, text in (pages or {}).items():
            files.write_text(Path(sweep.folder) / name, text)
        if begun:
            logging.info("going on with %s: %d points done", sweep.folder, len(sweep.outcomes()))
        rest = [encode(o) for o in overrides if not o.startswith(FOLDER_OVERRIDE)]
        rest += cluster_options(overrides)
        folder = os.path.relpath(sweep.folder, root)
        recorder, stopped = Recorder(sweep), True
        total = count_points(overrides, root / "conf")
        try:
            recorder.begin()
        except KeyboardInterrupt:
            raise KeyboardInterrupt(GOES_ON) from None
        try:
            with recorder, Display(sweep, total):
                stopped = _run_hydra(sweep, [f'{FOLDER_OVERRIDE}"{folder}"', *rest])
        finally:
            failed = any(outcome.state == FAILED for _, outcome in sweep.outcomes())
            sweep = replace(sweep, complete=not stopped and not failed)
            sweep.save()
            if not stopped:
                _tell_repeated(sweep, total)
            _close(sweep)
        if stopped or failed:
            what = "some points failed" if failed else "it stopped before its end"
            raise CrossgradeError(f"{sweep.name}: {what}; the same command goes on with it")


def cluster_options(overrides: Sequence[str]) -> list[str]:
    """Return the extra options that Hydra's Ray launcher needs for an existing cluster.

    The launcher sets Ray's memory size, which Ray refuses for a running cluster.
    """
    names = {override.partition("=")[0].lstrip("+") for override in overrides}
    if RAY_INIT + "address" not in names or RAY_INIT + "object_store_memory" in names:
        return []
    return [f"+{RAY_INIT}object_store_memory=null"]


def _run_hydra(sweep: Sweep, overrides: Sequence[str]) -> bool:
    """Run all points with Hydra; return True if it stopped early."""
    for name in ("hydra", "hydra_plugins"):  # Hydra's launchers log jobs that have not begun
        logging.getLogger(name).setLevel(logging.WARNING)
    sys.argv[1:] = ["--multirun", *overrides]
    interrupts = []

    def interrupt(number, frame):
        interrupts.append(number)
        signal.default_int_handler(number, frame)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        _application(sweep)()
    except (SystemExit, KeyboardInterrupt) as stop:  # Hydra has printed the reason
        if interrupts:  # some libraries convert it to errors of their own
            raise KeyboardInterrupt(GOES_ON) from None
        return not isinstance(stop, SystemExit) or bool(stop.code)
    finally:
        signal.signal(signal.SIGINT, before)
    return False


def _application(sweep: Sweep):
    """Return the function that Hydra calls for each combination, in this or other processes."""
    import hydra

    @hydra.main(version_base="1.3", config_path=str(sweep.code / "conf"), config_name="config")
    def point(composed):
        from hydra.core.hydra_config import HydraConfig

        from pipeline.sweeps.point import run_point

        settings = HydraConfig.get()
        outcome = run_point(
            sweep,
            plain(composed),
            number=settings.job.num,
            changed=[decode(override) for override in settings.overrides.task],
        )
        directions = settings.sweeper.get("direction")
        if isinstance(directions, str) or directions is None or not hasattr(directions, "__len__"):
            return outcome.objective(sweep.objectives[0])
        return tuple(outcome.objective(name) for name in sweep.objectives[: len(directions)])

    return point


def _tell_repeated(sweep: Sweep, total: int | None) -> None:
    """Print how many combinations had no point of their own."""
    repeated = (total or 0) - len(sweep.outcomes())
    if repeated > 0:
        print(f"{repeated} of {total} points: the same values as another one, which ran once")


def _close(sweep: Sweep) -> None:
    """Record the remaining points, and print the comparison."""
    comparison = write_comparison(sweep)
    for text in _chips_side_by_side(sweep):
        print(f"\n{text}")
    if comparison.outcomes:
        print(f"\n{terminal_table(comparison)}\n")
        print(f"page: {Path(sweep.folder) / PAGE}")
    try:
        print(f"sweep: MLflow run {record_sweep(sweep)} in {sweep.store}")
    except StoreUnavailable as error:
        logging.warning("%s", error)
        print(f"results are kept in {sweep.folder}; 'crossgrade track --resume' records them")


def _chips_side_by_side(sweep: Sweep) -> list[str]:
    """Return each chip's summary, with its notes, of a sweep over chips only."""
    finished = [(folder, point) for folder, point in sweep.outcomes() if point.state == FINISHED]
    models = {
        tuple(item for item in point.params.items() if not item[0].startswith("target."))
        for _, point in finished
    }
    if len(models) != 1 or len(finished) < 2:
        return []
    texts = []
    for folder, point in finished:
        made = folder / "workspace"
        found = files.read_json(made / files.metrics_path("convert")).get("notes", [])
        notes = [Note.from_json(entry).text for entry in found]
        summary = (made / files.SUMMARY).read_text(encoding="utf-8")
        texts.append("\n".join([f"{sweep.point_name(point.changed)}:", *notes, summary]))
    return texts


def _objectives(arguments: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """Split the objectives from the overrides."""
    rest, names = list(arguments), DEFAULT_OBJECTIVES
    if OBJECTIVES in rest:
        place = rest.index(OBJECTIVES)
        names = tuple(rest[place + 1].split(",")) if place + 1 < len(rest) else ("",)
        del rest[place : place + 2]
    wrong = [name for name in names if name not in ALLOWED_OBJECTIVES]
    if wrong:
        raise ConfigError(
            f"{OBJECTIVES}: found '{wrong[0]}'; allowed: {', '.join(ALLOWED_OBJECTIVES)}"
        )
    return names, rest


def _check_names(overrides: Sequence[str]) -> None:
    """Refuse unknown keys; wrong values are refused by each point."""
    plain_names = [o for o in overrides if not o.lstrip("+~").startswith("hydra")]
    first = [o for o in plain_names if not any(c in o.partition("=")[2] for c in ",()[]{}")]
    keys = [o.partition("=")[0] for o in plain_names if o not in first]
    values = compose(first)
    unknown = [key for key in keys if "." in key and key[0] not in "+~" and not _known(values, key)]
    if unknown:
        raise ConfigError("; ".join(f"{key}: no such name in params.yaml" for key in unknown))
    try:
        check(values)
    except UnknownKeyError:
        raise
    except ConfigError:
        pass  # another value of a swept name may be right


def _known(values, dotted: str) -> bool:
    if dotted.startswith(PREFIX):
        return True  # the names of layers are the model's
    for part in dotted.split("."):
        if isinstance(values, list) and part.isdigit() and int(part) < len(values):
            values = values[int(part)]
        elif isinstance(values, dict) and part in values:
            values = values[part]
        else:
            return False
    return True
