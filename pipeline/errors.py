"""The errors that a user's input can cause; commands and stages print them in one line."""


def one_line(error: BaseException) -> str:
    """Return what an error of another library says, in one line."""
    return " ".join(str(error).split())


class CrossgradeError(ValueError):
    """Base class: the message names the object, what was found, what is allowed, what to do."""


class ConfigError(CrossgradeError):
    """A configuration value is unknown, of the wrong type, or impossible with another one."""


class DataError(CrossgradeError):
    """A data set or sample file is missing, damaged, or of the wrong shape or type."""


class ModelError(CrossgradeError):
    """A model is malformed or has layers that crossgrade does not know."""


class IncompatibleModelError(ModelError):
    """A valid model cannot be carried to the wanted target; every reason is listed.

    Parameters
    ----------
    model : str
        Name of the model.
    reasons : list of str
        One line each: layer, what was found, what is allowed, what to do.
    action : str
        What could not be done ("convert to akida_v2").
    """

    def __init__(self, model, reasons, action):
        self.model, self.reasons, self.action = model, list(reasons), action
        lines = "\n".join(f"  - {reason}" for reason in self.reasons)
        count = len(self.reasons)
        super().__init__(
            f"{model}: cannot {action}, {count} reason{'s' if count != 1 else ''}:\n{lines}"
        )
