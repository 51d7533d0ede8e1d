"""Compiled plans of random layers compared with the layers' own arithmetic, and coverage.

``CROSSGRADE_CASES=5000`` draws 5000 more layers of each class.
"""

import os
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from simulator import product
from simulator.akida_v2 import Conv2D
from simulator.plan import numpy_step
from tests.simulator import reference as plain_akida_v2
from tests.simulator.akida_v1 import reference as plain_akida_v1
from tests.simulator.plan import cases_akida_v1, cases_akida_v2
from tests.simulator.plan.comparison import BACKENDS, assert_same, compiled, run
from tests.simulator.plan.covering import Cover, states
from tests.simulator.test_against_reference import registers

CHIPS = {"akida_v1": cases_akida_v1, "akida_v2": cases_akida_v2}
KINDS = [(chip, kind) for chip, cases in CHIPS.items() for kind in cases.KINDS]
MORE = int(os.environ.get("CROSSGRADE_CASES", "0"))
FOCUSED = 20
SECOND = {"akida_v1": plain_akida_v1, "akida_v2": plain_akida_v2}
SMALL = 8000
"""Most products per image for which a layer is also computed in plain Python."""
PATIENCE = 400
"""Number of cases after which missing pairs are given up."""


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """Let small layers have several blocks, and products of several parts with rows left over."""
    monkeypatch.setattr(numpy_step, "BLOCK_BYTES", 4096)
    monkeypatch.setattr(product, "SMALL", 2000)
    monkeypatch.setattr(product, "FEWEST_ROWS", 3)


class Drawn:
    """Cases of a layer class, drawn on demand, with the reference's results.

    Each is (number, case, result of `comparison.run`).
    """

    def __init__(self, chip, kind):
        self.kind, self.cover, self.cases = kind, Cover(chip, kind), []
        self._source = self._draw(chip)

    def __iter__(self):
        position = 0
        while position < len(self.cases) or next(self._source, None):
            yield self.cases[position]
            position += 1

    def _draw(self, chip):
        while self.cover.missing and len(self.cases) < PATIENCE:
            yield self._add(self.cover.draw())
        for _ in range(MORE):
            yield self._add(self.cover.draw({}))
        for fixed in chip.FOCUS.get(self.kind, ()):
            for _ in range(FOCUSED):
                yield self._add(self.cover.draw(fixed))

    def _add(self, case):
        wanted = run(case.program, case.images, "reference")
        self.cases.append((len(self.cases), case, wanted))
        return case


@cache
def drawn(chip, kind):
    return Drawn(CHIPS[chip], kind)


@cache
def plan(backend, chip, kind, number):
    return compiled(drawn(chip, kind).cases[number][1].program, backend)


@pytest.mark.parametrize(("chip", "kind"), KINDS)
def test_every_pair_of_states_is_drawn(chip, kind):
    count, cover = len(list(drawn(chip, kind))), drawn(chip, kind).cover
    assert not cover.missing, f"{len(cover.missing)} of {cover.required} after {count} cases"


@pytest.mark.parametrize(("chip", "kind"), KINDS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_drawn_layers(backend, chip, kind):
    for number, case, wanted in drawn(chip, kind):
        compiled = plan(backend, chip, kind, number)
        try:
            assert_same(case.program, case.images, compiled, expected=wanted, batch_size=2)
        except AssertionError as error:
            error.add_note(f"case {number} of {kind}: {CHIPS[chip].traits(case)}")
            raise


@pytest.mark.parametrize(("chip", "kind"), KINDS)
def test_small_drawn_layers_in_plain_python(chip, kind):
    """The reference compared with a second implementation, on cases of few products."""
    second, count = SECOND[chip], 0
    for _, case, (_, traces, _) in drawn(chip, kind):
        layer = case.subject
        # The host subtracts threshold fractions; plain Python has the chip's registers only.
        on_host = getattr(layer, "threshold_fraction", None) is not None
        if on_host or layer.macs > SMALL or np.prod(layer.output_shape) > SMALL // 10:
            continue
        held = registers(layer)
        sources = [traces[name].tolist() for name in layer.inputs] or [case.images.tolist()]
        if hasattr(layer, "step"):
            expected = second.run_stream(kind, held, sources[0])
        else:
            expected = [second.run(kind, held, *each) for each in zip(*sources, strict=True)]
        found, expected = traces[layer.name], np.array(expected, dtype=np.float64)
        if chip == "akida_v1":
            expected = expected.astype(np.float32).astype(np.float64)
        np.testing.assert_array_equal(found, expected, err_msg=str(CHIPS[chip].traits(case)))
        count += 1
    assert count >= 5


PATHS = {
    "numpy": {
        *("numpy float32", "numpy float32 corrected", "numpy float32 rechecked", "numpy float64"),
        *("numpy float32 winograd", "numpy float32 rechecked winograd"),
        *("sums float32", "sums float64", "sums pooled", "reference"),
    },
    "fast": {
        *("fast words", "fast float32", "numpy float32", "numpy float64"),
        *("sums words", "sums float32", "sums float64", "sums pooled", "reference"),
    },
}
BYTES = {"fast bytes", "sums bytes"}
"""Taken where the processor has products of bytes; Winograd's method only where it has not."""


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_path_is_taken(backend):
    taken = defaultdict(Counter)
    for chip, kind in KINDS:
        for number, case, _ in drawn(chip, kind):
            proofs = plan(backend, chip, kind, number).proofs
            (proof,) = (proof for proof in proofs if proof.layer == case.subject.name)
            taken[kind][proof.path] += 1
    wanted, usual = PATHS[backend.partition(":")[0]], "numpy float32"
    if backend != "numpy":
        dots = "vnni" in backend
        wanted, usual = wanted | (BYTES if dots else {"fast winograd"}), "fast words"
        if dots:
            usual = "fast bytes"
    assert wanted <= set().union(*taken.values())
    main = {kind: paths[usual] for kind, paths in taken.items()}
    assert {kind for kind, count in main.items() if count >= 10} == {
        *("InputConvolutional", "Convolutional", "SeparableConvolutional", "FullyConnected"),
        *("InputConv2D", "Conv2D", "DepthwiseConv2D", "Dense1D"),
    }, main


def test_a_new_register_has_to_be_drawn():
    @dataclass(frozen=True, eq=False, kw_only=True)
    class Extended(Conv2D):
        gain: np.ndarray | None = None
        mode: str = "plain"

    with pytest.raises(LookupError, match=r"Extended\.mode: say in VALUES"):
        states(Extended, cases_akida_v2.VALUES)
    found = states(Extended, cases_akida_v2.VALUES | {"mode": ("plain", "other")})
    assert found["gain"] == ("absent", "zero", "nonzero")
    assert found["mode"] == ("plain", "other")
