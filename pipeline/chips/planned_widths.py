"""Refuse widths that a chip lacks before a model is quantized to them."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.chips.blocks import View
from pipeline.chips.chip import Chip, chip, only_for
from pipeline.chips.conversion import check_scheme
from pipeline.errors import ConfigError, IncompatibleModelError
from pipeline.graph.graph import Graph
from pipeline.messages.settings import setting
from pipeline.quantization.planned import planned
from simulator.refusal import Refusal


def check_planned_widths(
    graph: Graph, options, target: str | None = None, *, strict: bool = False
) -> None:
    """Refuse widths that a chip does not have, all of them at once.

    The rules and limits are those of `convert`, and of them those that hold without widths: what
    else a model breaks, `convert` refuses.

    Parameters
    ----------
    graph : Graph
        Float model.
    options : Quantization
        The ``quantization`` section of the configuration.
    target : str, optional
        Name of the chip; by default the only one that takes the scheme, if there is only one.
    strict : bool
        Refuse widths too that only the emulator runs.

    Raises
    ------
    ConfigError
        If `strict` is set and no chip is known.
    IncompatibleModelError
        With each layer, its width and those that the chip has.
    """
    name = target or only_for(options.scheme)
    if name is None:
        if strict:
            raise ConfigError(
                f"{setting('target.strict')}: of which chip? name it: {setting('target.name')}"
            )
        return
    check_scheme(graph.name, options.scheme, name)
    widths = planned(graph, options)
    bare = widths.with_nodes(node.bare() for node in widths.nodes)
    known = set(_findings(bare, chip(name), strict))
    refusals = [one for one in _findings(widths, chip(name), strict) if one not in known]
    if refusals:
        raise IncompatibleModelError(graph.name, refusals, f"quantize for {name}")


def _findings(graph: Graph, chosen: Chip, strict: bool) -> Iterator[Refusal]:
    view = View(graph, graph)
    for rule in chosen.rules:
        if strict or not rule.emulated:
            yield from rule.findings(view)
    for facts in chosen.facts(view) if strict else ():
        yield from chosen.limits.exceeded(facts)
