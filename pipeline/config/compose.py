"""Compose ``conf/`` and overrides into one plain configuration, as Hydra does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from pipeline.config.overrides import one_line, read_overrides
from pipeline.errors import ConfigError
from simulator.whole_file import write_whole


def compose(overrides: Sequence[str] = (), *, folder="conf") -> dict:
    """Return the composed configuration as plain mappings and lists.

    Parameters
    ----------
    overrides : sequence of str
        ``group=choice`` or ``dotted.name=value``.
    folder : path-like
        Holds ``config.yaml`` and the groups.

    Raises
    ------
    ConfigError
        When an override names an unknown group, choice or key.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    folder = Path(folder).resolve()
    if not (folder / "config.yaml").is_file():
        raise ConfigError(f"{folder}: no config.yaml there; run from the repository's root")
    overrides = read_overrides(overrides, folder)
    try:
        with initialize_config_dir(str(folder), version_base="1.3"):
            return plain(hydra_compose("config", overrides=overrides))
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        raise ConfigError(one_line(error)) from error


def plain(composed) -> dict:
    """Return a composed OmegaConf object as plain values, without Hydra's own and experiments."""
    from omegaconf import OmegaConf

    values = OmegaConf.to_container(composed, resolve=True)
    return {key: value for key, value in values.items() if key not in ("hydra", "experiment")}


def write_params(values, path="params.yaml") -> None:
    """Write a composed configuration, whole or not at all.

    Parameters
    ----------
    values : mapping
    path : path-like
        Left untouched when its content is already the same.
    """
    path = Path(path)
    text = "# Composed from conf/ by 'python -m pipeline' or 'dvc repro'; edit conf/ instead.\n"
    text += yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    write_whole(path, lambda file: file.write(text.encode()))
