"""One kind of fault, tried several times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """What one try ended in; `lost` says what was lost or unclear, and is empty if all is well."""

    what: str
    lost: str = ""


@dataclass(frozen=True)
class Trial:
    """A kind of fault.

    Attributes
    ----------
    name : str
        On the command line.
    fault : str
        For the table.
    run : function (folder, tries, seed) to iterator of Outcome
        `folder` is new and empty; `seed` chooses the moments of random kinds.
    tries : int
        Default number; 0 where the kind has a fixed list of cases.
    """

    name: str
    fault: str
    run: Callable[[Path, int, int], Iterator[Outcome]]
    tries: int = 0
