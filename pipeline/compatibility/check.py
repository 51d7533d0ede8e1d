"""Hold a float model against the rules of a chip."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import replace

from pipeline.compatibility.blocks import View
from pipeline.compatibility.report import COMPATIBLE, FIXABLE, INCOMPATIBLE, Report, Violation
from pipeline.compatibility.rule import CONVERSION, Chip
from pipeline.errors import ConfigError, IncompatibleModelError
from pipeline.graph.graph import Graph
from pipeline.transforms import TRANSFORMS
from pipeline.transforms.continuous_activations import continuous_activations


def known_chips() -> tuple[str, ...]:
    """Return the names of the chips whose rules are known, in order."""
    import pipeline.compatibility as package

    modules = (module.name for module in pkgutil.iter_modules(package.__path__))
    return tuple(sorted(name for name in modules if name.startswith("akida_")))


def chip(name: str) -> Chip:
    """Return the rules of the target called `name`.

    Raises
    ------
    ConfigError
        For an unknown name; known ones are listed.
    """
    if name not in known_chips():
        raise ConfigError(f"unknown target '{name}'; known targets: {', '.join(known_chips())}")
    return importlib.import_module(f"pipeline.compatibility.{name}").CHIP


def check(graph: Graph, target: str) -> Report:
    """Return every violation of the rules of `target`, and whether `migrate` can repair it.

    Nothing is computed on images: only the structure is read, and weights where a rule depends
    on them (negative scales of batch norms).

    Parameters
    ----------
    graph : Graph
        A float model.
    target : str
        ``akida_v1`` or ``akida_v2``.
    """
    found = chip(target)
    violations, notes = _violations(graph, found)
    notes = [*graph.notes, *notes]
    verdict = COMPATIBLE
    if violations:
        fixed, refusals = repaired(graph, target)
        notes += refusals
        left, _ = _violations(fixed, found)
        broken = [v for v in left if v.kind == CONVERSION]
        # A layer that a repair leads into another violation is not repaired; but one without a
        # transform of its own may only suffer from its neighbour's violation.
        led = _places(broken) - _places(violations)
        new = {layer for layer, _ in led}
        remaining = _places(left)
        violations = [
            replace(
                v,
                fixable=(v.transform is not None or not broken)
                and v.layer not in new
                and (v.layer, v.rule) not in remaining,
            )
            for v in violations
        ]
        if broken:
            verdict = INCOMPATIBLE
            if all(v.fixable for v in violations if v.kind == CONVERSION):
                violations += broken  # what the repairs bring to light
        elif any(v.kind == CONVERSION for v in violations):
            verdict = FIXABLE
    return Report(
        model=graph.name,
        target=target,
        verdict=verdict,
        violations=tuple(violations),
        notes=tuple(notes),
    )


def _places(violations) -> set[tuple[str, str]]:
    """Return (layer, rule) of violations; the halves of a split layer count as the layer."""
    places = {(v.layer, v.rule) for v in violations}
    return places | {(v.layer[3:], v.rule) for v in violations if v.layer[:3] in ("dw_", "pw_")}


def repaired(graph: Graph, target: str) -> tuple[Graph, list[str]]:
    """Return the model after every automatic transform, unverified, and what these refused."""
    refusals = []
    for name in chip(target).transforms:
        try:
            graph = TRANSFORMS[name](graph, None, None).graph
        except IncompatibleModelError as refusal:
            refusals += refusal.reasons
    return graph, refusals


def _violations(graph, found: Chip) -> tuple[list[Violation], list[str]]:
    # Steps of activations have a rule of their own; for the others they are ReLUs.
    changed, notes = found.normalise(continuous_activations(graph).graph)
    view = View(graph, changed)
    violations = [
        Violation(
            rule=rule.name,
            sentence=rule.sentence,
            source=rule.source,
            kind=rule.kind,
            layer=finding.layer,
            found=finding.found,
            allowed=finding.allowed,
            fix=finding.fix,
            transform=finding.transform,
        )
        for rule in found.rules
        for finding in rule.find(view)
    ]
    order = {node.name: number for number, node in enumerate((*graph.nodes, *changed.nodes))}
    violations.sort(key=lambda v: (v.kind, order.get(v.layer, len(order))))
    return violations, [*notes, *found.notes(view)]
