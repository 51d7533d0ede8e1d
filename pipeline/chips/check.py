"""Check a float model against the rules and limits of a chip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pipeline.chips.blocks import View
from pipeline.chips.chip import Chip, chip
from pipeline.chips.report import COMPATIBLE, FIXABLE, INCOMPATIBLE, Report, Violation
from pipeline.chips.rule import CONVERSION, HARDWARE
from pipeline.errors import IncompatibleModelError
from pipeline.graph.graph import Graph
from pipeline.messages.notes import texts
from pipeline.transforms import TRANSFORMS, in_order
from pipeline.transforms.approximate.continuous_activations import continuous_activations
from pipeline.transforms.feeding import AS_THEY_ARE, Feeding, feeding_sentence
from simulator.refusal import Refusal


def check(graph: Graph, target: str) -> Report:
    """Return every violation of the rules and limits of `target`, and whether `migrate` repairs it.

    Only the structure is read, and weights where a rule depends on them (negative scales of batch
    norms). A repair that measures ranges does so on a few random images.

    Parameters
    ----------
    graph : Graph
        A float model.
    target : str
        Name of a chip.

    Raises
    ------
    ConfigError
        If the chip is unknown.
    """
    found = chip(target)
    violations, notes = find(graph, found)
    notes = [*texts(graph.notes), *notes]
    verdict = COMPATIBLE
    if violations:
        fixed, refusals, feeding = repaired(graph, target)
        notes += map(str, refusals)
        if feeding:
            notes.append(f"{graph.input.name}: after migrate the model {feeding_sentence(feeding)}")
        left, _ = find(fixed, found)
        left = [_as_limit(v, found) for v in left]
        broken = [v for v in left if v.kind == CONVERSION]
        violations = _with_fixable(violations, left, fixed)
        violations = [v if v.fixable else _as_limit(v, found) for v in violations]
        violations.sort(key=lambda v: v.kind)
        if broken:
            verdict = INCOMPATIBLE
            if all(v.fixable for v in violations if v.kind == CONVERSION):
                violations += broken  # violations that only appear after the repairs
        elif any(v.kind == CONVERSION for v in violations):
            verdict = FIXABLE
    return Report(
        model=graph.name,
        target=target,
        verdict=verdict,
        violations=tuple(violations),
        notes=tuple(notes),
    )


def _with_fixable(violations, left, fixed: Graph) -> list[Violation]:
    """Return violations with `fixable` set, given those that remain after the repairs.

    A violation is not fixable if a repair causes a new one in its layer. One that names no
    transform may be a consequence of another: it is fixable if no conversion rule stays broken.
    """
    broken = [v for v in left if v.kind == CONVERSION]
    new = {layer for layer, _ in _places(broken, fixed) - _places(violations, fixed)}
    remaining = _places(left, fixed)
    return [
        replace(
            v,
            fixable=(v.transform is not None or not broken)
            and not new.intersection(v.layers)
            and not remaining.intersection((layer, v.rule) for layer in v.layers),
        )
        for v in violations
    ]


def _as_limit(violation: Violation, found: Chip) -> Violation:
    """Return a violation that no transform repairs, but that the emulator runs, as a limit."""
    emulated = violation.rule in found.emulated_limits
    return replace(violation, kind=HARDWARE) if emulated else violation


def _places(violations, fixed: Graph) -> set[tuple[str, str]]:
    """Return (layer, rule) of violations; parts of a split layer count as the original layer."""
    places = {(layer, v.rule) for v in violations for layer in v.layers}
    split = {node.name: node.split_from for node in fixed.nodes if node.split_from}
    return places | {(split[layer], rule) for layer, rule in places if layer in split}


def repaired(graph: Graph, target: str) -> tuple[Graph, list[Refusal], Feeding]:
    """Apply every automatic transform of a chip to a model, without verification.

    Returns
    -------
    Graph
    list of Refusal
        Of transforms that cannot repair the model.
    Feeding
        How to change images for the result, where it takes another shape.
    """
    refusals: list[Refusal] = []
    feeding = AS_THEY_ARE
    for name in repairs(target):
        try:
            rewrite = TRANSFORMS[name](graph)
            graph, feeding = rewrite.graph, feeding + rewrite.feeding
        except IncompatibleModelError as error:
            refusals += error.refusals
    return graph, list(dict.fromkeys(refusals)), feeding


def repairs(target: str) -> tuple[str, ...]:
    """Return the automatic transforms of a chip, in order and twice.

    What a transform adds may need an earlier one: the selection after a pooling of 2x1 has a
    rectangular kernel, which grows to a square.
    """
    return 2 * in_order(chip(target).repairs)


def find(graph: Graph, found: Chip) -> tuple[list[Violation], list[str]]:
    """Find every violation of a chip's rules and limits, in the order of layers.

    Returns
    -------
    violations : list of Violation
    notes : list of str
    """
    # One rule refuses discrete activations; all others see them as ReLUs.
    changed, notes = found.normalize(continuous_activations(graph).graph)
    view = View(graph, changed)
    violations = [*_broken_rules(view, found), *_exceeded_limits(view, found)]
    order = {node.name: number for number, node in enumerate((*graph.nodes, *changed.nodes))}
    violations.sort(key=lambda v: (v.kind, min(order.get(n, len(order)) for n in v.layers)))
    remarks = [
        f"{refusal} (one reading of the vendor's page)"
        for facts in found.facts(view)
        for refusal in found.limits.remarks(facts)
    ]
    return violations, [*notes, *found.notes(view), *remarks]


def _broken_rules(view: View, found: Chip) -> Iterator[Violation]:
    for rule in found.rules:
        for finding in rule.findings(view):
            yield Violation(
                **_fields(finding),
                transform=finding.transform,
                sentence=rule.sentence,
                source=rule.source,
                kind=CONVERSION,
            )


def _exceeded_limits(view: View, found: Chip) -> Iterator[Violation]:
    limits, refused = found.limits, (*found.refused_limits, *found.emulated_limits)
    sentences = {limit.name: limit.sentence for limit in limits.LIMITS}
    for facts in found.facts(view):
        for refusal in limits.exceeded(facts):
            yield Violation(
                **_fields(refusal),
                transform=found.limit_repairs(refusal.rule, facts),
                sentence=sentences[refusal.rule],
                source=limits.SOURCE,
                kind=CONVERSION if refusal.rule in refused else HARDWARE,
            )


def _fields(refusal: Refusal) -> dict:
    return {key: getattr(refusal, key) for key in ("layers", "found", "allowed", "fix", "rule")}
