"""Settings that other settings leave without effect: a change would only repeat a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any

from pipeline.config.sections import Config, Quantization
from pipeline.errors import ConfigError
from pipeline.messages.settings import setting, yaml_value

MOVED = "gap_after_relu"
TUNING = ("epochs", "batch_size", "optimizer", "learning_rate", "schedule")
TUNED = ("distill", "finetune")


@dataclass(frozen=True, kw_only=True)
class Unused:
    """Settings without effect.

    Attributes
    ----------
    section : str
        Dotted name of their section.
    keys : tuple of str
    cause : str
        Dotted name of the setting whose value is the cause.
    holds : function of Config
        True for a configuration that does not use them.
    """

    section: str
    keys: tuple[str, ...]
    cause: str
    holds: Callable[[Config], bool]


TABLE = (
    Unused(
        section="quantization",
        keys=(
            "output_bits",
            "last_output_bits",
            "buffer_bits",
            "per_tensor_activations",
            "observer",
            "momentum",
            "equalize",
            "flatten",
        ),
        cause="quantization.scheme",
        holds=lambda config: config.quantization.scheme == "cnn2snn",
    ),
    Unused(
        section="quantization.calibration",
        # Not batch_size, which must not exceed the number of samples in either scheme.
        keys=("epochs",),
        cause="quantization.scheme",
        holds=lambda config: config.quantization.scheme == "cnn2snn",
    ),
    Unused(
        section="quantization",
        keys=("momentum",),
        cause="quantization.observer",
        holds=lambda config: config.quantization.observer != "ema",
    ),
    Unused(
        section="quantization.training",
        keys=("samples", "epochs", "batch_size", "learning_rate"),
        cause="quantization.train",
        holds=lambda config: config.quantization.train == "none",
    ),
    Unused(
        section="transforms.gap",
        keys=("strategy",),
        cause="transforms.names",
        holds=lambda config: MOVED not in config.transforms.names,
    ),
    Unused(
        section="transforms.gap",
        keys=("recalibrate", "samples", "seed"),
        cause="transforms.gap.strategy",
        holds=lambda config: config.transforms.gap.strategy == "exact",
    ),
    Unused(
        section="transforms.gap",
        keys=TUNING,
        cause="transforms.gap.strategy",
        holds=lambda config: config.transforms.gap.strategy not in TUNED,
    ),
    Unused(
        section="transforms.gap",
        keys=("temperature",),
        cause="transforms.gap.strategy",
        holds=lambda config: config.transforms.gap.strategy != "distill",
    ),
    Unused(
        section="transforms.gap",
        keys=("samples", "seed"),
        cause="transforms.gap.recalibrate",
        holds=lambda config: (
            config.transforms.gap.strategy == "relocate"
            and config.transforms.gap.recalibrate == "none"
        ),
    ),
)


def unused(config: Config) -> Iterator[str]:
    """Yield one sentence for each setting that has another value than its default, to no effect."""
    defaults, seen = Config(), set()
    for row in TABLE:
        if not row.holds(config):
            continue
        for key in row.keys:
            name = f"{row.section}.{key}"
            found, default = _value(config, name), _value(defaults, name)
            if found != default and name not in seen:
                seen.add(name)
                yield (
                    f"{setting(name)}: found {yaml_value(found)}; {_cause(config, row.cause)} does"
                    f" not use it; leave it out, which is {yaml_value(default)}"
                )


def check_unused(quantization: Quantization) -> None:
    """Refuse settings of `quantization` alone that have no effect.

    Raises
    ------
    ConfigError
        Listing all of them.
    """
    if found := list(unused(Config(quantization=quantization))):
        raise ConfigError("; ".join(found))


def _cause(config: Config, name: str) -> str:
    if name == "transforms.names":
        return f"a list of {setting(name)} without {MOVED}"
    return setting(name, _value(config, name))


def _value(config: Config, dotted: str) -> Any:
    return reduce(getattr, dotted.split("."), config)
