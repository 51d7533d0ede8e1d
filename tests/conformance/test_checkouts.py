"""Comparison of two checkouts file by file; files that only one of them writes are reported."""

from collections import Counter

import pytest

from conformance.checkouts import compare, main
from tests.repository import SOURCE

OLD = {"same.npz": "1 1", "header.npz": "1 1", "x.npy": "1", "gone.npz": "1 1", "a.log": "yes"}
NEW = {"same.npz": "1 1", "header.npz": "1 2", "x.npy": "2", "more.npz": "1 1", "a.log": "no"}


def test_files_and_messages_are_counted_separately(capsys):
    expected = Counter(equal=1, header=1, differ=1, lost=1, gained=1, messages=1)
    assert compare("case", OLD, NEW) == expected
    assert capsys.readouterr().out.splitlines() == [
        "  case: gone.npz: lost",
        "  case: x.npy: differ",
    ]


@pytest.mark.slow
def test_a_checkout_equals_itself(tmp_path, capsys):
    golden = SOURCE.parent / "shared" / "golden"
    if not golden.is_dir():
        pytest.skip("the reference cases are not here")
    for name in ("float-sepgap_v1", "quantizeml-seed_uint8-b8_4_4-tensor"):
        (tmp_path / name).symlink_to(golden / name)
    assert main([str(SOURCE), str(SOURCE), str(tmp_path)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert (
        " 0 header, 0 differ, 0 lost, 0 gained; 0 messages differ" in last
        and " 0 equal" not in last
    )
