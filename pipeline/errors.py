"""The errors that a user's input can cause; commands and stages print them in one line."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.errors import UserError
from simulator.refusal import Refusal, refusal_lines

ENTRY = "  - "
"""Start of a line that is an entry of a list."""


class CrossgradeError(UserError):
    """Base class: the message names the object, what was found, what is allowed, what to do."""


class ConfigError(CrossgradeError):
    """A configuration value is unknown, of the wrong type, or impossible with another one."""


class UnknownKeyError(ConfigError):
    """A configuration has an unknown key, and possibly other errors."""


class DataError(CrossgradeError):
    """A data set or sample file is missing, damaged, or of the wrong shape or type."""


class ModelError(CrossgradeError):
    """A model is malformed or has unknown layers."""


class LayerError(ModelError):
    """One layer is malformed.

    Parameters
    ----------
    layer : str
        Its name.
    found : str
        What is wrong, and what to do.
    """

    def __init__(self, layer: str, found: str):
        self.layer, self.found = layer, found
        super().__init__(f"{layer}: {found}")


class UnknownLayerError(LayerError):
    """A layer's type is not known.

    Parameters
    ----------
    layer, kind : str
        Its name and type.
    known : iterable of str
        The types that are.
    """

    def __init__(self, layer: str, kind: str, known: Iterable[str]):
        self.kind, self.known = kind, ", ".join(sorted(known))
        super().__init__(layer, f"layer type '{kind}' is not known; known: {self.known}")


class IncompatibleModelError(ModelError):
    """A valid model cannot be migrated, quantized or converted; every reason is listed.

    Parameters
    ----------
    model : str
        Name of the model.
    refusals : iterable of Refusal
    action : str
        What could not be done ("convert to akida_v2").
    advice : str
        What can be done instead; may be empty.

    Attributes
    ----------
    refusals : tuple of Refusal
    """

    def __init__(self, model: str, refusals: Iterable[Refusal], action: str, advice: str = ""):
        self.model, self.action = model, action
        self.refusals = tuple(refusals)
        lines = refusal_lines(self.refusals)
        count = len(lines)
        lines += [advice] if advice else []
        super().__init__(
            f"{model}: cannot {action}, {count} reason{'s' if count != 1 else ''}:\n"
            + "\n".join(f"{ENTRY}{line}" for line in lines)
        )

    @property
    def reasons(self) -> list[str]:
        """One line for each refusal."""
        return [str(refusal) for refusal in self.refusals]
