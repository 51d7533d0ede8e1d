"""Channels that calibration never saw above 0: in one line, with the worst layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from pipeline.messages.notes import DEAD_CHANNELS, WARNING, Note

WORST = 3
"""Layers that the line names; `Note.details` has all."""


def dead_channels(ranges: Mapping[str, np.ndarray]) -> Iterator[Note]:
    """Yield a note on channels whose range is 0, and a warning on layers without any other.

    Parameters
    ----------
    ranges : mapping of str to float32 array of shape () or (channels,)
        Largest magnitude at each output quantizer.
    """
    counts = {name: (int((value == 0).sum()), value.size) for name, value in ranges.items()}
    silent = [name for name, (dead, size) in counts.items() if dead == size]
    if silent:
        yield Note(
            kind=DEAD_CHANNELS,
            level=WARNING,
            layers=tuple(silent),
            text=f"{_names(silent)}: the output is 0 for every calibration sample, and so is what"
            " follows; check the samples and the weights before",
        )
    partly = {name: found for name, found in counts.items() if 0 < found[0] < found[1]}
    if partly:
        yield _some(partly)


def _some(found) -> Note:
    details = tuple(
        f"{name}: {dead} of {size} channels are 0 for every calibration sample"
        for name, (dead, size) in found.items()
    )
    if len(found) == 1:
        return Note(kind=DEAD_CHANNELS, layers=tuple(found), text=details[0], details=details)
    worst = sorted(found, key=lambda name: -found[name][0] / found[name][1])[:WORST]
    dead, size = (sum(column) for column in zip(*found.values(), strict=True))
    shares = ", ".join(f"{name} ({found[name][0]} of {found[name][1]})" for name in worst)
    return Note(
        kind=DEAD_CHANNELS,
        layers=tuple(found),
        text=f"{dead:,} of {size:,} channels in {len(found)} layers are 0 for every calibration"
        f" sample; most in {shares}",
        details=details,
    )


def _names(layers) -> str:
    more = len(layers) - WORST
    return ", ".join(layers[:WORST]) + (f" and {more} more" if more > 0 else "")
