"""Compiled plans of drawn layers against the layers' own arithmetic, and what has been drawn.

``CROSSGRADE_CASES=5000`` draws so many more of each layer class.
"""

import os
from collections import Counter
from functools import cache

import pytest

from simulator.plan import compile_program
from tests.simulator.plan import cases_akida_v1, cases_akida_v2
from tests.simulator.plan.comparison import BACKENDS, assert_same, run
from tests.simulator.plan.covering import Cover

CHIPS = {"akida_v1": cases_akida_v1, "akida_v2": cases_akida_v2}
KINDS = [(chip, kind) for chip, cases in CHIPS.items() for kind in cases.KINDS]
MORE = int(os.environ.get("CROSSGRADE_CASES", "0"))
FOCUSED = 20
PATIENCE = 400
"""Cases after which pairs that are still missing are given up."""


@cache
def drawn(chip, kind):
    """Return the cases of a layer class, what the reference makes of them, and missing pairs."""
    cases, cover = [], Cover(CHIPS[chip], kind)
    while cover.missing and len(cases) < PATIENCE:
        cases.append(cover.draw())
    cases += [cover.draw({}) for _ in range(MORE)]
    for fixed in CHIPS[chip].FOCUS.get(kind, ()):
        cases += [cover.draw(fixed) for _ in range(FOCUSED)]
    wanted = [run(case.program, case.images, "reference") for case in cases]
    return list(zip(cases, wanted, strict=True)), cover


@pytest.mark.parametrize(("chip", "kind"), KINDS)
def test_every_pair_of_states_is_drawn(chip, kind):
    cases, cover = drawn(chip, kind)
    assert not cover.missing, f"{len(cover.missing)} of {cover.required} after {len(cases)} cases"


@cache
def plans(backend, chip, kind):
    """Return the plans of the cases of a layer class."""
    return [compile_program(case.program, backend) for case, _ in drawn(chip, kind)[0]]


@pytest.mark.parametrize(("chip", "kind"), KINDS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_drawn_layers(backend, chip, kind):
    cases, compiled = drawn(chip, kind)[0], plans(backend, chip, kind)
    for number, ((case, wanted), plan) in enumerate(zip(cases, compiled, strict=True)):
        try:
            assert_same(case.program, case.images, plan, expected=wanted, batch_size=2)
        except AssertionError as error:
            error.add_note(f"case {number} of {kind}: {CHIPS[chip].traits(case)}")
            raise


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_path_is_taken(backend):
    taken = Counter()
    for chip, kind in KINDS:
        for (case, _), plan in zip(drawn(chip, kind)[0], plans(backend, chip, kind), strict=True):
            (proof,) = (proof for proof in plan.proofs if proof.layer == case.subject.name)
            taken[kind, proof.path] += 1
    print()
    for (kind,path),n in sorted(taken.items()): print(kind,path,n,end=' | ')
