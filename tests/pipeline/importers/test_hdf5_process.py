"""Files that make the HDF5 library loop or crash are refused, and the next file is read."""

import os

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.cli.main import cli
from pipeline.errors import ModelError
from pipeline.importers import hdf5_process, load_model
from pipeline.importers.hdf5 import DamagedFileError, read_hdf5
from pipeline.importers.hdf5_process import Reader
from tests.repository import SOURCE

CRASH = "import os, sys; sys.stdin.buffer.readline(); os.abort()"
WAIT = "import sys, time; sys.stdin.buffer.readline(); time.sleep(60)"
SILENT = "import sys; sys.stdin.buffer.readline(); print('100 100')"
HOSTILE = SOURCE.parent / "shared" / "hostile"


@pytest.fixture
def content(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["wanted/a"] = np.arange(3, dtype=np.float32)
        file["wanted"].attrs["texts"] = [b"one", b"two"]
        file["wanted"].attrs["number"] = 5
        file["left"] = np.zeros(3)
    return (tmp_path / "x.h5").read_bytes()


def test_wanted_members_become_groups_and_arrays(content):
    root = read_hdf5(content, "x.h5", ["wanted", "missing"])
    assert list(root.members) == ["wanted"]
    group = root.find("wanted")
    assert group.attrs == {"texts": ["one", "two"], "number": None}
    np.testing.assert_array_equal(group.find("a").values, [0, 1, 2])


@pytest.mark.parametrize("script", [CRASH, WAIT, SILENT], ids=["crash", "wait", "silent"])
def test_a_child_without_a_reply_is_replaced(content, tmp_path, monkeypatch, script):
    reader = Reader()
    (tmp_path / "child.py").write_text(script)
    with monkeypatch.context() as patch:
        patch.setattr(hdf5_process, "CHILD", tmp_path / "child.py")
        patch.setattr(hdf5_process, "SECONDS", 0.5)
        with pytest.raises((OSError, ValueError)):
            reader.read(content, 1000, ["wanted"])
    tree, _ = reader.read(content, 1000, ["wanted"])
    assert tree.startswith(b'{"attrs"')
    reader.close()


def test_a_forked_process_starts_a_child_of_its_own(content):
    reader = Reader()
    first = reader.read(content, 1000, ["wanted"])
    pid = os.fork()
    if pid == 0:  # exit without the clean-up of the test run
        os._exit(0 if reader.read(content, 1000, ["wanted"]) == first else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert reader.read(content, 1000, ["wanted"]) == first
    reader.close()


def test_arrays_beyond_the_limit_are_not_read(content):
    reader = Reader()
    _, data = reader.read(content, 11, ["wanted"])
    assert data == b""
    reader.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["endless_attribute.h5", "slow_refusal.h5"])
def test_hostile_files(name):
    if not (HOSTILE / name).is_file():
        pytest.skip("the hostile files are not here")
    with pytest.raises(ModelError, match=r"damaged|missing"):
        load_model(HOSTILE / name)


def test_files_other_than_hdf5_are_damaged():
    with pytest.raises(DamagedFileError, match="truncated or damaged"):
        read_hdf5(b"\x89HDF\r\n\x1a\n" + bytes(100), "x.h5", ["a"])


@pytest.mark.parametrize("command", ["check", "describe", "migrate", "quantize", "convert"])
def test_a_file_on_which_the_library_ends_or_hangs_is_read_once(tmp_path, monkeypatch, command):
    """Each attempt may take the whole limit of time."""
    reads = []

    def ends(content, limit, members):
        reads.append(members)
        raise OSError("the child ended")

    monkeypatch.setattr("pipeline.importers.hdf5.READER.read", ends)
    path = tmp_path / "m.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(999))
    output = (
        ["-o", str(tmp_path / "new.npz")] if command in ("migrate", "quantize", "convert") else []
    )
    result = CliRunner().invoke(cli, [command, str(path), *output])
    assert isinstance(result.exception, DamagedFileError), result.exception
    assert len(reads) == 1
