"""Before DVC runs: caches that cannot be written, and what a killed DVC left."""

import compileall
import os
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.files import tree_hash
from pipeline.repro import workspace
from pipeline.repro.workspace import (
    StageFailed,
    check_cache,
    copy_code,
    link_code,
    make_workspace,
    reproduce,
)

SOURCE = Path(__file__).parents[3]


@pytest.fixture
def lock(tmp_path, monkeypatch):
    """Return the file that lists DVC's locks, in a repository where DVC itself fails."""
    monkeypatch.setattr(workspace, "WRITTEN_SECONDS", 0.01)
    monkeypatch.setattr(workspace, "_reproduce_quietly", lambda *_: (1, ""))
    path = tmp_path / ".dvc" / "tmp" / "rwlock"
    path.parent.mkdir(parents=True)
    return path


@pytest.mark.parametrize("torn", ["", '{"a', "{} }"])
def test_a_torn_list_of_locks_is_removed(tmp_path, lock, torn):
    lock.write_text(torn)
    with pytest.raises(StageFailed):
        reproduce(tmp_path, quiet=True)
    assert not lock.exists()


def test_a_whole_list_of_locks_is_kept(tmp_path, lock):
    for text in (None, "{}", '{"params.yaml": {"write": {"pid": 1}}}'):
        if text is not None:
            lock.write_text(text)
        with pytest.raises(StageFailed):
            reproduce(tmp_path, quiet=True)
        assert (lock.read_text() if lock.exists() else None) == text


@pytest.mark.parametrize("torn", ["", "schema: '2.0'\nstages:\n  build:\n    params", "[1, 2]"])
def test_a_torn_record_of_the_stages_is_removed(tmp_path, lock, torn):
    record = tmp_path / "dvc.lock"
    record.write_text(torn)
    with pytest.raises(StageFailed):
        reproduce(tmp_path, quiet=True)
    assert not record.exists()
    record.write_text("schema: '2.0'\nstages: {}\n")
    with pytest.raises(StageFailed):
        reproduce(tmp_path, quiet=True)
    assert record.exists()


def test_a_list_that_is_being_written_is_kept(tmp_path, lock, monkeypatch):
    lock.write_text("")
    monkeypatch.setattr(workspace.time, "sleep", lambda _: lock.write_text("{}"))
    with pytest.raises(StageFailed):
        reproduce(tmp_path, quiet=True)
    assert lock.read_text() == "{}"


def test_a_cache_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    check_cache(tmp_path)  # there is none yet
    (tmp_path / ".dvc" / "cache" / "files" / "md5").mkdir(parents=True)
    check_cache(tmp_path)
    foreign = tmp_path / ".dvc" / "cache" / "files"
    monkeypatch.setattr(os, "access", lambda path, mode: path != foreign)
    with pytest.raises(ConfigError, match=r"cache/files: cannot be written .*dvc cache dir"):
        check_cache(tmp_path)


def test_workspaces_share_the_files_of_the_code(tmp_path):
    code = tmp_path / "code"
    copy_code(SOURCE, code)
    values = {"data": {}, "model": {}, "training": {}}
    first, second = (make_workspace(code, tmp_path / n, values, root=tmp_path) for n in "ab")
    for path in ("pipeline/stage.py", "conf/config.yaml", "simulator/akida_v2/conv2d.py"):
        assert (first / path).samefile(code / path)
    before = (code / "dvc.yaml").read_text()
    assert "compose:" in before and "compose:" not in (first / "dvc.yaml").read_text()
    compileall.compile_file(first / "pipeline" / "stage.py", quiet=2)
    assert list((second / "pipeline" / "__pycache__").glob("stage.*.pyc"))
    assert tree_hash(first / "pipeline") == tree_hash(SOURCE / "pipeline")


def test_a_disk_without_links_gets_copies(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "symlink", refuse)
    (tmp_path / "code" / "pipeline" / "sub").mkdir(parents=True)
    (tmp_path / "code" / "pipeline" / "sub" / "module.py").write_text("1")
    link_code(tmp_path / "code", tmp_path / "made")
    assert (tmp_path / "made/pipeline/sub/module.py").read_text() == "1"
    assert (tmp_path / "made/pipeline/sub/module.py").stat().st_nlink == 1
