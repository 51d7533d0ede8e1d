"""Format a compatibility report as text of at most 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from pipeline.chips.report import COMPATIBLE, Report, Violation

WIDTH = 100


def table(report: Report) -> str:
    """Return `report` as text: verdict, violations by kind and rule, notes."""
    lines = _wrap(f"{report.model} on {report.target}: {report.verdict}", "", "    ")
    for title, violations in (
        ("conversion rules", report.conversion),
        ("hardware limits", report.hardware),
    ):
        if not violations:
            continue
        count = len(violations)
        lines += ["", f"{title}: {count} violation{'s' * (count != 1)}"]
        lines += _by_rule(violations)
    if report.notes:
        lines += ["", "notes"]
        for note in report.notes:
            lines += _wrap(note, "  - ", "    ")
    if report.verdict == COMPATIBLE and not report.fits_chip:
        lines += ["", "It converts and runs on the emulator; it does not fit the chip."]
    return "\n".join(lines)


def proposal_lines(proposal) -> list[str]:
    """Return the lines of a proposal, or none."""
    if proposal is None:
        return []
    return ["", "proposal", *_wrap(str(proposal), "  ", "    ")]


def _by_rule(violations) -> Iterator[str]:
    """Yield each rule once, followed by one entry per fix for all its layers."""
    groups: dict[str, list[Violation]] = {}
    for violation in violations:
        groups.setdefault(violation.rule, []).append(violation)
    for rule, found in groups.items():
        yield ""
        yield from _wrap(f"{rule}: {found[0].sentence}", "  ", "    ")
        yield from _wrap(f"source: {found[0].source}", "    ", "      ")
        fixes: dict[tuple, dict[str, list[str]]] = {}
        for violation in found:
            key = violation.allowed, violation.fix, violation.fixable
            fixes.setdefault(key, {}).setdefault(violation.found, []).append(violation.layer)
        for (allowed, fix, fixable), layers in fixes.items():
            places = [f"{', '.join(names)}: found {what}" for what, names in layers.items()]
            fixed = "migrate repairs it" if fixable else "needs a manual fix"
            yield from _wrap(
                f"{'; '.join(places)}; allowed {allowed}; fix: {fix} [{fixed}]", "    - ", "      "
            )


def _wrap(text, first, rest):
    # Words are never split, so that names of layers can be copied.
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
