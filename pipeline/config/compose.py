"""Compose ``conf/`` and overrides into one plain configuration, as Hydra does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from pipeline.config.layer_overrides import decoded, encode
from pipeline.config.overrides import read_overrides
from pipeline.errors import ConfigError
from simulator.atomic_file import write_atomically

EXTRAS = "; launchers and sweepers other than basic are extras to install, see docs/sweeps.md"

REMOVABLE = ("quantization.layers.", "hydra")


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
        raise ConfigError(
            f"{folder}: no config.yaml there; run in a folder that 'crossgrade init' made,"
            " or in the root of the repository"
        )
    _refuse_removals(overrides)
    overrides = read_overrides(overrides, folder)
    try:
        with initialize_config_dir(str(folder), version_base="1.3"):
            return plain(hydra_compose("config", overrides=overrides))
    except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
        raise ConfigError(_message(error)) from error


def _refuse_removals(overrides: Sequence[str]) -> None:
    """Refuse to remove values other than widths of single layers: a run records all of them."""
    removed = [override for override in overrides if override.startswith("~")]
    removed = [override for override in removed if not override[1:].startswith(REMOVABLE)]
    if removed:
        raise ConfigError(
            f"{', '.join(removed)}: no value can be removed; give another one, such as"
            f" {removed[0].removeprefix('~').partition('=')[0]}=..., or leave this out"
        )


def plain(composed) -> dict:
    """Return a composed OmegaConf object as plain values, without Hydra's own and experiments."""
    from omegaconf import OmegaConf

    values = OmegaConf.to_container(composed, resolve=True)
    kept = {key: value for key, value in values.items() if key not in ("hydra", "experiment")}
    return dict(decoded(kept))


def check_front(overrides: Sequence[str], folder) -> None:
    """Refuse overrides that Hydra cannot read, and unknown options of its launchers and sweepers.

    Parameters
    ----------
    overrides : sequence of str
        Those of a sweep.
    folder : path-like
        Configuration folder.

    Raises
    ------
    ConfigError
        With Hydra's message.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    _refuse_removals(overrides)
    parser, mine = OverridesParser.create(), []
    for override in overrides:
        try:
            parser.parse_override(encode(override))
        except HydraException as error:
            raise ConfigError(
                f"'{override}': Hydra cannot read it ({_message(error)}); write name=value,value"
            ) from error
        if override.lstrip("+~").startswith("hydra"):
            mine.append(override)
    try:
        with initialize_config_dir(str(Path(folder).resolve()), version_base="1.3"):
            compose("config", overrides=mine, return_hydra_config=True)
    except (HydraException, OmegaConfBaseException) as error:
        extra = EXTRAS if "Could not find 'hydra/" in str(error) else ""
        raise ConfigError(f"{_message(error)}{extra}") from error


def _message(error: Exception) -> str:
    """Return the message of a Hydra or OmegaConf error in one line, the known choices included."""
    texts = [str(error).partition("Config search path")[0]]
    if error.__cause__ is not None and str(error).startswith("Error merging"):
        texts.append(str(error.__cause__))
    lines = (line.strip() for text in texts for line in text.splitlines())
    return "; ".join(line for line in lines if line).replace(":;", ":")


def write_params(values, path="params.yaml") -> None:
    """Write a composed configuration, whole or not at all.

    Parameters
    ----------
    values : mapping
    path : path-like
        Not touched when its content is the same.
    """
    path = Path(path)
    text = "# Composed from conf/ by 'python -m pipeline' or 'dvc repro'; edit conf/ instead.\n"
    text += yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    write_atomically(path, lambda file: file.write(text.encode()))
