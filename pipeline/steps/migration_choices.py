"""What a user chose for a migration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

RECALIBRATE = "bn_ridge"
"""The default, which ``gap="exact"`` does not use."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Chosen:
    """What a user chose; see `pipeline.steps.migrating.migrate`."""

    samples: Any = None
    labels: Any = None
    num_samples: int = 256
    gap: str = "exact"
    recalibrate: str = RECALIBRATE
    input_scale: Any = None
    input_offset: Any = None
    input_dtype: str = "auto"
    clip: bool = False
    max_accuracy_drop: float | None = None

    @property
    def tunes(self) -> bool:
        """True if transforms are tuned on the images."""
        return self.gap != "exact"

    @property
    def transforms(self):
        """The section ``transforms`` of the configuration; raises `ConfigError`."""
        from pipeline.config.load import check_section
        from pipeline.config.sections import Transforms

        values = {
            "gap": {"strategy": self.gap, "recalibrate": self.recalibrate},
            "names": ["power_of_two_clip"] if self.clip else [],
            "max_accuracy_drop": self.max_accuracy_drop,
        }
        return check_section(Transforms, values, "transforms")

    def check(self) -> None:
        """Refuse values that are not allowed, and options that lack another one.

        Raises
        ------
        ConfigError
            Naming it.
        """
        from pipeline.errors import ConfigError
        from pipeline.messages.settings import setting

        _ = self.transforms
        images, labels = setting("calibration"), setting("labels")
        gap, scale = "transforms.gap.strategy", setting("input_scale")
        drop = setting("transforms.max_accuracy_drop")
        if self.tunes and self.samples is None:
            exact = setting(gap, "exact")
            raise ConfigError(
                f"{setting(gap, self.gap)}: needs images; give {images}, or use {exact}"
            )
        if not self.tunes and self.recalibrate != RECALIBRATE:
            name, exact = setting("transforms.gap.recalibrate"), setting(gap, self.gap)
            raise ConfigError(
                f"{name}: found {self.recalibrate}; {exact} does not use it; leave it out"
            )
        if self.labels is not None and self.samples is None:
            raise ConfigError(f"{labels}: belong to images; give {images} as well")
        if self.max_accuracy_drop is not None and self.labels is None:
            missing = f"images and their classes; give {images} and {labels} as well"
            missing = f"classes; give {labels} as well" if self.samples is not None else missing
            raise ConfigError(f"{drop}: accuracy needs {missing}")
        if self.input_offset is not None and self.input_scale is None:
            offset = setting("input_offset")
            raise ConfigError(f"{offset}: belongs to a scale; give {scale} as well")
        if self.input_scale is not None and self.input_dtype != "auto":
            dtype = setting("model.input_dtype")
            raise ConfigError(f"{scale}: makes a model of uint8 pixels; leave {dtype} out")
