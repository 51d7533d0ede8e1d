"""Report channels that are 0 on all calibration samples, in one line with the worst layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from pipeline.messages.notes import DEAD_CHANNELS, NOTE, WARNING, Note

WORST = 3
"""Number of layers that the line names; `Note.details` has all."""


def dead_channels(ranges: Mapping[str, np.ndarray]) -> Iterator[Note]:
    """Yield a note on channels whose range is 0; a warning if these are all of a layer's channels.

    Parameters
    ----------
    ranges : mapping of str to float32 array of shape () or (channels,)
        Largest magnitude at each output quantizer.
    """
    counts = {name: (int((value == 0).sum()), value.size) for name, value in ranges.items()}
    found = {name: count for name, count in counts.items() if count[0]}
    if not found:
        return
    silent = [name for name, (dead, size) in found.items() if dead == size]
    partly = {name: count for name, count in found.items() if name not in silent}
    parts = [say(part) for say, part in ((_dead_layer, silent), (_dead_channels, partly)) if part]
    yield Note(
        kind=DEAD_CHANNELS,
        level=WARNING if silent else NOTE,
        layers=tuple(found),
        text="; ".join(parts),
        details=tuple(_line(name, ranges[name].ndim, *count) for name, count in found.items()),
    )


def _line(name: str, axes: int, dead: int, size: int) -> str:
    if not axes:
        return f"{name}: its output is 0 for every calibration sample"
    return f"{name}: {dead} of {size} channels are 0 for every calibration sample"


def _dead_layer(layers) -> str:
    more = len(layers) - WORST
    names = ", ".join(layers[:WORST]) + (f" and {more} more" if more > 0 else "")
    return (
        f"{names}: the output is 0 for every calibration sample; check the samples, and the"
        " weights before"
    )


def _dead_channels(found) -> str:
    if len(found) == 1:
        ((name, count),) = found.items()
        return _line(name, 1, *count)
    worst = sorted(found, key=lambda name: -found[name][0] / found[name][1])[:WORST]
    dead, size = (sum(column) for column in zip(*found.values(), strict=True))
    shares = ", ".join(f"{name} ({found[name][0]} of {found[name][1]})" for name in worst)
    return (
        f"{dead:,} of {size:,} channels in {len(found)} layers are 0 for every calibration sample;"
        f" most in {shares}"
    )
