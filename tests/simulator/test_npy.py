"""Untrusted array files are read as by NumPy, or refused with one exception type."""

import io
import random

import numpy as np
import pytest

from simulator.npy import DamagedArrayError, load_npy, read_npy

ARRAYS = [
    np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    np.asfortranarray(np.arange(12, dtype=">i2").reshape(3, 4)),
    np.zeros((0, 5), np.uint8),
    np.array(3.5),
    np.array([True, False]),
    np.array(["a", "word"]),
]


def stored(array, version=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version, allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize("array", ARRAYS, ids=str)
def test_an_array_is_read_as_numpy_reads_it(array, version, tmp_path):
    (tmp_path / "x.npy").write_bytes(stored(array, version))
    found = load_npy(tmp_path / "x.npy")
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype and found.shape == array.shape
    assert found.flags.writeable


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "header is damaged"),
        (b"\x93NUMPY\x03\x00", "header is damaged"),
        (stored(ARRAYS[0])[:-1], "claims shape"),
        (stored(ARRAYS[0]).replace(b"(2, 3, 4)", b"(-2,3, 4)"), "claims shape"),
        (stored(ARRAYS[0]).replace(b"(2, 3, 4), }    ", b"(2, 3, 4444444)}"), "claims shape"),
        (stored(ARRAYS[0]).replace(b"{'descr'", b"{\xb1descr'"), "header is damaged"),
        (stored(np.array([{}, None])), "it holds object"),
        (stored(np.zeros(2, [("a", "i4")])), "it holds"),
    ],
)
def test_damage_is_reported(content, match):
    with pytest.raises(DamagedArrayError, match=match):
        read_npy(io.BytesIO(content), len(content))


def test_any_change_of_a_header_is_read_or_refused():
    rng = random.Random(5)
    outcomes = {"read": 0, "refused": 0}
    whole = stored(ARRAYS[0])
    for _ in range(4000):
        content = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            content[rng.randrange(128)] = rng.randrange(256)
        try:
            read_npy(io.BytesIO(content), len(content))
            outcomes["read"] += 1
        except DamagedArrayError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 20, outcomes
