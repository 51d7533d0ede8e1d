"""Propose where to cut a model of which a chip cannot run all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.chips import chip
from pipeline.chips.check import check
from pipeline.chips.report import INCOMPATIBLE
from pipeline.errors import ENTRY, IncompatibleModelError, ModelError
from pipeline.graph.graph import Graph
from pipeline.graph.macs import count_macs
from pipeline.host.rest_graph import ancestors, frontier
from pipeline.importers import outline_of
from pipeline.importers.hdf5 import DamagedFileError
from pipeline.importers.outline import Outline
from pipeline.messages.settings import setting
from pipeline.models.file import is_own, read_float
from pipeline.models.wanted import Wanted
from simulator.refusal import Refusal

ROUNDS, MOST_ENDS = 16, 32
"""Times that refused layers are taken out, and ends of a proposal."""
MOST_LAYERS, MOST_INPUTS = 2048, 4
"""Layers of a model above which nothing is proposed, and inputs from which parts are tried."""
TRIES, PATIENCE = 12, 5
"""Single ends that are tried from the last one on, and failures in a row that end a search."""
ONE_IS_ENOUGH = 0.9
"""Share of the MACs of several ends with which one end is preferred to them."""
MOVES = ("Reshape", "Flatten", "Permute", "Dropout", "ZeroPadding2D", "Softmax", "Multiply", "Part")
ENDING = ("sigmoid", "softmax", "tanh", "linear")
"""Operations, and activations, that are no end of a part: the host computes them."""
Read = Callable[[Sequence[str]], Graph]


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A part of a model that a chip can run.

    Attributes
    ----------
    target : str
    until : tuple of str
        Where it ends.
    layers, total : int
        Of the part, and of the model.
    macs : float or None
        Its share of the multiply-accumulates; None where those of the model are not known.
    refusals : tuple of Refusal
        What the chip refuses in the part of the file that can be read.
    """

    target: str
    until: tuple[str, ...]
    layers: int
    total: int
    macs: float | None = None
    refusals: tuple[Refusal, ...] = ()

    def __str__(self) -> str:
        """Return the proposal in one line."""
        ends = " ".join(setting("model.until", name) for name in self.until)
        share = "" if self.macs is None else f" ({self.macs:.0%} of the MACs)"
        return (
            f"{ends} carries {self.layers} of {self.total} layers{share} to {self.target}; the rest"
            " runs on the host"
        )

    def as_dict(self) -> dict:
        """Return JSON values."""
        return {
            "until": list(self.until),
            "layers": self.layers,
            "total": self.total,
            "macs_share": self.macs,
        }


def propose(graph: Graph, target: str, read: Read | None = None) -> Proposal | None:
    """Return the largest part of a model that `target` can run after `migrate`; None if none is.

    Parameters
    ----------
    graph : Graph
    target : str
    read : function of names to Graph, optional
        Reads a part of the file by the ends that are proposed, to be certain that it can be.
    """
    if len(graph.nodes) > MOST_LAYERS:
        return None
    read = read or graph.ended
    macs = count_macs(graph)
    for until in _choices(graph, target, macs):
        if _runs(read, until, target):
            inside = ancestors(graph, until)
            share = sum(macs.get(name, 0) for name in inside) / max(sum(macs.values()), 1)
            return Proposal(
                target=target,
                until=until,
                layers=len(inside) - 1,
                total=sum(node.op not in ("Input", "Outputs") for node in graph.nodes),
                macs=share,
            )
    return None


def propose_for(graph: Graph, path, wanted: Wanted, target: str) -> Proposal | None:
    """Return the largest part of a graph that was read from a file, or made from an architecture.

    Parameters
    ----------
    graph : Graph
    path : path-like
        The file, or the name of an architecture.
    wanted : Wanted
        How it was read.
    target : str
    """
    return propose(graph, target, _reader(path, wanted) if Path(path).is_file() else None)


def with_proposal(error: ModelError, path, wanted: Wanted, target: str) -> ModelError:
    """Return a refusal of a file with what the chip refuses besides, and with the proposal."""
    if isinstance(error, DamagedFileError):  # not read again: it may take the time limit each time
        return error
    try:
        found = _propose_for_refused(Path(path), wanted, target)
    except ModelError:
        return error
    if found is None:
        return error
    advice = f"proposal: {found}"
    if not isinstance(error, IncompatibleModelError):
        return ModelError(f"{error}\n{ENTRY}{advice}")
    refusals = dict.fromkeys((*error.refusals, *found.refusals))
    return IncompatibleModelError(error.model, refusals, error.action, advice)


def _reader(path, wanted) -> Read:
    return lambda ends: read_float(path, replace(wanted, until=tuple(ends)))


def _propose_for_refused(path, wanted, target):
    chip(target)  # Its name is checked before anything is read.
    if not path.is_file():
        return None
    read = _reader(path, wanted)
    try:
        return propose(read_float(path, wanted), target, read)
    except ModelError:
        return None if is_own(path) else _propose_readable(outline_of(path, wanted), target, read)


def _propose_readable(layers: Outline, target, read) -> Proposal | None:
    graph = _largest_readable(layers, read)
    found = None if graph is None else propose(graph, target, read)
    if found is None:
        return None
    inside = layers.before(found.until, graph)
    total = len(layers.entries) - len(layers.inputs)
    # What only moves values to a layer that cannot be read is for the host as well.
    whole = graph.ended(frontier(graph, _trimmed(graph, set(graph.by_name))))
    refusals = tuple(check(whole, target).refusals())
    return replace(found, layers=inside, total=total, macs=None, refusals=refusals)


def _largest_readable(layers: Outline, read) -> Graph | None:
    """Return the largest part of a file that can be read; it depends on one of the inputs."""
    if len(layers.entries) > MOST_LAYERS:
        return None
    found = [
        _readable(layers, set(layers.inputs) - {name}, read) for name in layers.inputs[:MOST_INPUTS]
    ]
    graphs = [graph for graph in found if graph is not None]
    return max(graphs, key=lambda graph: sum(count_macs(graph).values()), default=None)


def _readable(layers: Outline, refused: set[str], read) -> Graph | None:
    for _ in range(ROUNDS):
        ends = layers.frontier(layers.without(refused))
        if not ends:
            return None
        try:
            return read(ends)
        except IncompatibleModelError as error:
            more = layers.named(error.refusals) - refused
            if not more:
                return None
            refused |= more
        except ModelError:
            return None
    return None


def _carried(graph: Graph, target: str) -> tuple[str, ...]:
    """Return the ends of the largest part that the chip can run."""
    refused: set[str] = set()
    for _ in range(ROUNDS):
        inside = _trimmed(graph, set(graph.by_name) - graph.downstream(refused))
        ends = tuple(name for name in frontier(graph, inside) if name != graph.input.name)
        if not ends or graph.input.name not in inside:
            return ()
        part = graph.ended(ends)
        report = check(part, target)
        if report.verdict != INCOMPATIBLE:
            return ends
        names = {layer for found in report.refusals() for layer in found.layers}
        more = names & inside - {graph.input.name}
        # Where only an added layer is refused, the last one of the part goes.
        refused |= more or {part.ends[-1].name}
    return ()


def _trimmed(graph, inside: set[str]) -> set[str]:
    """Return a part without the layers at its ends that are not for a chip."""
    for node in reversed(graph.nodes):
        inner = any(consumer.name in inside for consumer in graph.consumers(node))
        if node.name in inside and not inner and _is_for_host(node):
            inside = inside - {node.name}
    return inside


def _is_for_host(node) -> bool:
    return node.op in ("Outputs", *MOVES) or node.attrs.get("activation") in ENDING


def _choices(graph: Graph, target: str, macs) -> Iterator[tuple[str, ...]]:
    """Yield ends to try: several, or one where that is nearly as much or the only way."""

    def amount(ends):
        return sum(macs.get(name, 0) for name in ancestors(graph, ends))

    ends = _carried(graph, target) if chip(target).several_outputs else ()
    singles = _singles(graph)
    last = _furthest(graph, target, singles, ancestors(graph, ends))
    one = singles[last : last + 1] if last is not None else []
    if 1 < len(ends) <= MOST_ENDS and amount(one) < ONE_IS_ENOUGH * amount(ends):
        yield ends
    for name in reversed(singles[: 0 if last is None else last + 1][-TRIES:]):
        if amount([name]):
            yield (name,)


def _furthest(graph, target, singles, inside: set[str]) -> int | None:
    """Return the place of the last of some ends up to which the chip can run a model.

    A longer part may fit where a shorter one does not, such as one that ends in the middle of a
    block: some failures in a row end the search.
    """

    def fits(place):
        return check(graph.ended([singles[place]]), target).verdict != INCOMPATIBLE

    if not singles:  # nothing but layers that prepare images
        return None
    place = max((i for i, name in enumerate(singles) if name in inside), default=0)
    found = next((i for i in range(place, max(place - TRIES, -1), -1) if fits(i)), None)
    failures, place = 0, place + 1
    while place < len(singles) and failures < PATIENCE:
        good = fits(place)
        found, failures = (place, 0) if good else (found, failures + 1)
        place += 1
    return found


def _singles(graph) -> list[str]:
    """Return the nodes through which everything passes, in order."""
    return [
        node.name
        for node in graph.nodes[1:]
        if not _is_for_host(node) and frontier(graph, ancestors(graph, [node.name])) == [node.name]
    ]


def _runs(read: Read, until, target) -> bool:
    try:
        return check(read(until), target).verdict != INCOMPATIBLE
    except ModelError:
        return False
