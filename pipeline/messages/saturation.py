"""Notes on saturation: which numbers, in which layers, their share, and whether it matters."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.messages.notes import SATURATION, WARNING, Note
from pipeline.messages.settings import setting
from simulator.program import Program
from simulator.statistics import KINDS, Saturation, Statistics

HARMLESS = 0.005
"""Share of a layer's values up to which saturation changes almost no class; measured by
`benchmarks.saturation`, see docs/saturation.md."""
HARM = "classes may change"
WORST = 3
"""Number of layers that a line names; `Note.details` has all."""
LARGE_NUMBERS = "train with smaller weights or biases, or with batch normalization before the layer"
SCALE = "give images of the scale that the model was calibrated on"


def counted(statistics: Statistics, images: int | None = None) -> tuple[Saturation, ...]:
    """Return the saturations of a run, without values that activations clip on purpose.

    Parameters
    ----------
    statistics : Statistics
    images : int, optional
        As in `Statistics.saturations`.
    """
    layers = statistics.program.by_name
    return tuple(s for s in statistics.saturations(images) if s.kind not in layers[s.layer].clips)


def largest_share(saturations: Sequence[Saturation]) -> float:
    """Return the largest share of a layer's values that saturated, from 0 to 1."""
    return max((found.share for found in saturations), default=0.0)


def verdict(share: float) -> str:
    """Return a sentence on whether a largest share matters."""
    if share == 0:
        return "none"
    judged = "harmless below" if share <= HARMLESS else f"{HARM} above"
    return f"{percent(share)} of a layer at most; {judged} {HARMLESS:.1%}"


def percent(share: float) -> str:
    """Return a share as percentage with two significant digits, never rounded to 0% or 100%."""
    if share in (0, 1):
        return f"{share:.0%}"
    if share < 1e-5:
        return "below 0.001%"
    return f"{100 * share:.2g}%" if share < 0.1 else f"{min(100 * share, 99.9):.3g}%"


def saturation_notes(
    saturations: Sequence[Saturation], where: str, *, noise: bool = False
) -> tuple[Note, ...]:
    """Return a warning on the layers whose saturation matters, and a note on the others.

    Parameters
    ----------
    saturations : sequence of Saturation
    where : str
        The samples on which they were counted, such as "64 images".
    noise : bool
        True if the samples are random, which judge nothing: there is no warning then.
    """
    if noise and saturations:
        text = f"numbers saturate on {where}: {_named(saturations)}; only images show what matters"
        return (_note(saturations, text),)
    bad = [found for found in saturations if found.share > HARMLESS]
    rest = [found for found in saturations if found.share <= HARMLESS]
    notes = []
    if bad:
        advice = "; ".join(dict.fromkeys(_advice(s.kind) for s in _worst(bad)))
        text = f"numbers saturate on {where}: {_named(bad)}; above {HARMLESS:.1%} {HARM}: {advice}"
        notes.append(_note(bad, text, WARNING))
    if rest:
        text = f"numbers saturate on {where}: {_named(rest)}; harmless below {HARMLESS:.1%}"
        notes.append(_note(rest, text))
    return tuple(notes)


def _note(found, text, level="note"):
    layers = tuple(dict.fromkeys(s.layer for s in found))
    details = tuple(
        f"{s.layer}: {s.kind}: {s.count:,} of {s.total:,} ({percent(s.share)}): {KINDS[s.kind]}"
        for s in found
    )
    return Note(kind=SATURATION, level=level, layers=layers, text=text, details=details)


def _advice(kind: str) -> str:
    if kind == "flatten":
        return f"quantize with {setting('quantization.flatten', 'align')}"
    if kind == "output":
        return "calibrate on more, or on more varied, images"
    return SCALE if kind.startswith("input") else LARGE_NUMBERS


def _worst(found):
    return sorted(found, key=lambda s: -s.share)[:WORST]


def _named(found) -> str:
    """Return the worst layers, grouped by equal shares."""
    kinds: dict[str, list[str]] = {}
    for entry in _worst(found):
        kinds.setdefault(entry.kind, []).append(f"{entry.layer} {percent(entry.share)}")
    parts = [f"{', '.join(layers)} ({KINDS[kind]})" for kind, layers in kinds.items()]
    more = len(found) - min(len(found), WORST)
    return ", ".join(parts) + (f" and {more} more" if more else "")


def register_notes(program: Program) -> tuple[Note, ...]:
    """Return a warning on layers whose constants saturate for every image.

    Parameters
    ----------
    program : Program
    """
    found = [
        Saturation(layer=layer.name, kind=kind, count=count, total=layer.output_shape[-1])
        for layer in program.layers
        for kind, count in layer.saturated_constants().items()
    ]
    if not found:
        return ()
    text = (
        f"biases saturate for every image, in these shares of a layer's filters:"
        f" {_named(found)}; {LARGE_NUMBERS}"
    )
    return (_note(found, text, WARNING),)
