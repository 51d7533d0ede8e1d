"""The number of points of a sweep, before they run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.config.layer_overrides import encode
from pipeline.config.overrides import read_overrides


def count_points(overrides: Sequence[str], folder) -> int | None:
    """Return how many points Hydra runs for `overrides`; None if its sweeper does not say.

    Parameters
    ----------
    overrides : sequence of str
        Those of the command, launchers and sweepers among them.
    folder : path-like
        Configuration folder.
    """
    from hydra import compose, initialize_config_dir
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parser = OverridesParser.create()
    parsed = parser.parse_overrides([encode(override) for override in overrides])
    swept = [override for override in parsed if override.is_sweep_override()]
    fixed = [override.input_line for override in parsed if override not in swept]
    with initialize_config_dir(str(Path(folder).resolve()), version_base="1.3"):
        config = compose("config", read_overrides(fixed, folder), return_hydra_config=True)
    sweeper = config.hydra.sweeper
    if not sweeper["_target_"].endswith(f".{BasicSweeper.__name__}"):
        return sweeper.get("n_trials")
    params = [f"{key}={value}" for key, value in (sweeper.get("params") or {}).items()]
    choices = [o for o in overrides if not o.lstrip("+").startswith("hydra")]
    every = parser.parse_overrides([encode(override) for override in (*params, *choices)])
    return len(BasicSweeper.split_arguments(every, None)[0])
