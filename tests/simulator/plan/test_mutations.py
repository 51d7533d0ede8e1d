"""Every planted fault matches the source; a few are run here, all of them by the script."""

import ast

import pytest

from tests.simulator.plan.comparison import BACKENDS
from tests.simulator.plan.faults import FAULTS
from tests.simulator.plan.mutations import ROOT, copied, found_by, main


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_fault_matches_the_source(fault):
    text = (ROOT / "simulator" / fault.file).read_text(encoding="utf-8")
    planted = fault.planted(text)
    assert planted != text
    ast.parse(planted)


def test_each_backend_has_ten_faults():
    for backend in ("numpy", "fast"):
        assert sum(backend in fault.backends for fault in FAULTS) >= 10
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["padding_value not divided by input_shift", "1.0: threshold off"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_planted_fault_is_found(backend, name, tmp_path):
    (fault,) = (fault for fault in FAULTS if fault.name.startswith(name))
    assert "test_drawn_layers" in found_by(fault, backend, copied(tmp_path))


def test_an_unknown_fault_is_refused(capsys):
    assert main(["no such fault"]) == 1
    assert "no fault has 'no such fault' in its name" in capsys.readouterr().err
