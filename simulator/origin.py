"""What a program was made from: the value of its integers in the float model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

UNIT, RATE = "unit", "rate"
"""Names of a layer's arrays in a file; no register has them."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Origin:
    """What the chip does not need, but who compares a program with its float model does.

    Attributes
    ----------
    units : dict of str to float64 array of shape () or (channels,)
        By layer: float value of one integer of its output.
    rates : dict of str to float32 array of shape () or (channels,)
        By layer: factor that equalization put on its output, which is part of the unit, where it is
        not 1.
    scheme : str
        Quantization scheme of the model.
    refined, trained : bool
        True if its registers were fitted layer by layer, or trained.
    """

    units: dict[str, np.ndarray] = field(default_factory=dict)
    rates: dict[str, np.ndarray] = field(default_factory=dict)
    scheme: str = ""
    refined: bool = False
    trained: bool = False

    @property
    def facts(self) -> dict:
        """What a file's header says of it."""
        return {"scheme": self.scheme, "refined": self.refined, "trained": self.trained}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by their names in a file."""
        both = ((UNIT, self.units), (RATE, self.rates))
        return {f"{layer}/{name}": array for name, found in both for layer, array in found.items()}

    def check(self, by_name: Mapping) -> Iterator[str]:
        """Yield a sentence for every array that does not fit the layers of a program."""
        for (path, array), dtype in zip(
            self.arrays().items(),
            [np.float64] * len(self.units) + [np.float32] * len(self.rates),
            strict=True,
        ):
            layer = by_name.get(path.rpartition("/")[0])
            if layer is None:  # a part of a program
                continue
            if array.dtype != dtype or array.shape not in ((), layer.output_shape[-1:]):
                yield f"{path} is {array.dtype} {array.shape}; needs one value, or one per channel"
            elif not (np.isfinite(array).all() and (array > 0).all()):
                yield f"{path} has values that are not finite and above 0"


def read_origin(header: Mapping, arrays: Mapping[str, np.ndarray], layers) -> Origin | None:
    """Return the origin in a program's file; None if it has none."""
    if "origin" not in header:
        return None
    found = {
        name: {
            layer.name: arrays[f"{layer.name}/{name}"]
            for layer in layers
            if f"{layer.name}/{name}" in arrays
        }
        for name in (UNIT, RATE)
    }
    facts = header["origin"]
    return Origin(
        units=found[UNIT],
        rates=found[RATE],
        scheme=str(facts["scheme"]),
        refined=bool(facts["refined"]),
        trained=bool(facts["trained"]),
    )
