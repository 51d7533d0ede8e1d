"""Find widths per layer within a budget: ``crossgrade.search``, and the command's work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from pipeline.steps.measuring import Prepared, Sensitivity, measured, prepared
from pipeline.steps.python import step

BUDGET, MAX_LOSS, REFINE = "search.budget", "search.max_loss", "quantization.refine"


class FoundWidths:
    """Bits for the weights and outputs of each layer.

    Attributes
    ----------
    found : pipeline.analysis.trials.Found
        ``score`` and ``cost`` of the widths, measured on the emulator.
    layers : dict of str to dict
        The widths as `crossgrade.quantize` takes them.
    uniform : dict of int to pipeline.analysis.trials.Found
        One width everywhere, for comparison.
    notes : tuple of Note
        How the model was read, and widths that the chip does not take in it.
    """

    def __init__(self, search: Any, found: Any, notes: Iterable = ()):
        self.found, self.notes, self._variants = found, tuple(notes), search.variants
        widths = sorted({bits for options in search.losses.values() for bits in options})
        made = {bits: search.uniform(bits) for bits in reversed(widths)}
        self.uniform = {bits: one for bits, one in made.items() if one is not None}

    def __repr__(self) -> str:
        cost, name = self.found.cost, self._variants.graph.name
        return f"<FoundWidths of {name!r}: {cost.weight_bytes:,} bytes of weights>"

    @property
    def layers(self) -> dict[str, dict[str, int]]:
        """The widths as `crossgrade.quantize` takes them."""
        from pipeline.analysis.found_file import found_layers

        return found_layers(self._variants, self.found)

    def text(self) -> str:
        """Return a table of costs and losses, one width everywhere first."""
        from pipeline.analysis.sensitivity_table import widths_table

        rows = [(f"{bits} bits everywhere", one) for bits, one in self.uniform.items()]
        return widths_table([*rows, ("found", self.found)])

    def summary(self) -> None:
        """Print the table."""
        print(self.text())

    def as_dict(self) -> dict:
        """Return the widths, their cost and score as JSON values."""
        found = self.found
        return {"layers": self.layers, "cost": asdict(found.cost), "score": asdict(found.score)}

    def save(self, path: Any) -> None:
        """Write a file of the widths (``.yaml``), a choice of the pipeline's conf/quantization."""
        from pipeline.analysis.found_file import found_yaml
        from pipeline.files import write_text

        write_text(path, found_yaml(self._variants, self.found))


@step
def search(
    model: Any,
    samples: Any,
    x: Any = None,
    y: Any = None,
    *,
    budget: Mapping[str, float] | None = None,
    max_loss: float | None = None,
    refine: str = "layers",
    target: str = "akida_v2",
    input_dtype: str = "auto",
    backend: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> FoundWidths:
    """Find bits for the weights and outputs of each layer that lose least within a budget.

    Each width of each single layer is measured, an integer program chooses among them, and the
    emulator verifies the result; limits of the chip hold throughout.

    Parameters
    ----------
    model, samples, x, y, target, input_dtype, backend, progress
        As in `crossgrade.sensitivity`.
    budget : mapping of str to float, optional
        ``weight_kib``: memory of the weights; ``activation_kib``: largest memory of the maps that
        exist together; ``memory_kib``: both; ``macs_bits``: bits multiplied per image. Several hold
        at once.
    max_loss : float, optional
        In place of `budget`: the smallest weights that lose at most so much, of accuracy with `y`,
        else as share of the images whose class changes.
    refine : {"layers", "none"}
        How the widths will be quantized: ``layers``, the default of `crossgrade.quantize`, refines
        about ten models to choose by; ``none`` takes seconds and chooses by models without
        refinement, repaired greedily.

    Returns
    -------
    FoundWidths
        Its ``layers`` are those of `crossgrade.quantize`.

    Raises
    ------
    ConfigError
        If no widths are within the budget, or neither or both of `budget` and `max_loss` are given.
    DataError
        If images or labels do not fit the model.
    """
    from pipeline.analysis.refined_search import SEARCHES
    from pipeline.errors import ConfigError
    from pipeline.messages.settings import setting

    limits = checked_budget(budget or {}, max_loss)
    if refine not in SEARCHES:
        raise ConfigError(f"{setting(REFINE)}: found {refine!r}; allowed: {', '.join(SEARCHES)}")
    given = prepared(model, samples, x, y, target, input_dtype)
    sensitivity = measured(given, backend, progress)
    return found_widths(given, sensitivity, limits, max_loss, refine, backend)


def checked_budget(budget: Mapping[str, float], max_loss: float | None) -> dict[str, float]:
    """Return the budget as numbers.

    Raises
    ------
    ConfigError
        If it is wrong, or neither or both of a budget and a largest loss are given.
    """
    from pipeline.analysis.budget import checked
    from pipeline.errors import ConfigError
    from pipeline.messages.settings import setting
    from pipeline.packages import require

    names = setting(BUDGET), setting(MAX_LOSS)
    if bool(budget) == (max_loss is not None):
        raise ConfigError(f"give {names[0]} or {names[1]}, and one of them only")
    if max_loss is not None and not 0 <= max_loss <= 1:
        raise ConfigError(f"{names[1]}: found {max_loss}; allowed: from 0 to 1")
    require("scipy", "a search for widths")
    return checked(budget, names[0])


def found_widths(
    given: Prepared,
    sensitivity: Sensitivity,
    budget: Mapping[str, float],
    max_loss: float | None,
    refine: str,
    backend: str,
    tell: Callable[[str], None] = lambda line: None,
) -> FoundWidths:
    """Return the widths within a budget, or the smallest within a loss; `tell` gets each step."""
    from pipeline.analysis.refined_search import SEARCHES
    from pipeline.messages.notes import LIMITS, Note

    sensitivities = sensitivity.sensitivities
    notes = [
        Note(kind=LIMITS, layers=(c.layer,), text=f"{c.layer}: {c.key}={c.bits} is left out: {why}")
        for c, why in sensitivities.refused
    ]
    search = SEARCHES[refine](
        given.variants, sensitivities, given.images, given.labels, backend=backend, progress=tell
    )
    found = search.least(max_loss) if max_loss is not None else search.within(budget)
    return FoundWidths(search, found, (*given.notes, *notes))
