"""The folders of sweeps: what their removal frees, which are kept, and the command."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline import files
from pipeline.cli.main import cli
from pipeline.errors import ConfigError
from pipeline.sweeps import disk
from pipeline.sweeps.recorder import TRACKED
from pipeline.sweeps.sweep import open_sweep


@pytest.fixture
def root(tmp_path, monkeypatch):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "config.yaml").write_text("seed: 0")
    (tmp_path / "dvc.yaml").write_text("stages: {}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sweep(root, bits, *, complete=True, recorded=True):
    overrides = [f"quantization.weight_bits={bits}"]
    with open_sweep(root, overrides, objectives=(), store="sqlite:///x.db") as (made, _):
        replace(made, complete=complete).save()
        if recorded:
            files.write_json(Path(made.folder) / TRACKED, {"status": "FINISHED"})
        return made


def crossgrade(*arguments):
    return CliRunner().invoke(cli, ["sweeps", *map(str, arguments)])


def test_files_with_links_elsewhere_are_not_freed(tmp_path):
    cache, folder = tmp_path / "cache", tmp_path / "sweep"
    (folder / "points").mkdir(parents=True)
    empty = disk.freed_bytes(folder)
    cache.write_bytes(bytes(100_000))
    os.link(cache, folder / "program.npz")
    assert disk.freed_bytes(folder) == empty
    for name in ("a", "points/b"):
        os.link(cache, folder / name)
    assert disk.freed_bytes(folder) == empty
    cache.unlink()
    (folder / "link").symlink_to(tmp_path)
    assert empty + 100_000 <= disk.freed_bytes(folder) < empty + 120_000


def test_only_complete_and_recorded_sweeps_are_removed(root):
    done, interrupted = sweep(root, "2,4"), sweep(root, "4,8", complete=False, recorded=False)
    waiting = sweep(root, "2,8", recorded=False)
    listed = crossgrade().output
    for made, state in ((done, "recorded"), (interrupted, "interrupted"), (waiting, "not rec")):
        line = next(line for line in listed.splitlines() if Path(made.folder).name in line)
        assert state in line and " MB" in line and made.overrides[0].rpartition(".")[2] in line
    output = crossgrade("--remove").output
    assert not Path(done.folder).exists()
    assert Path(interrupted.folder).exists() and Path(waiting.folder).exists()
    assert "kept, since it is interrupted" in output and "kept, since it is not recorded" in output
    assert "removed" in crossgrade("--remove", interrupted.folder).output
    assert not Path(interrupted.folder).exists() and Path(waiting.folder).exists()


def test_a_running_sweep_is_kept(root):
    with open_sweep(root, ["seed=1,2"], objectives=(), store="x") as (running, _):
        assert "running" in crossgrade("--remove", running.folder).output
        assert Path(running.folder).exists()


def test_other_folders_are_refused(root):
    (root / "mine").mkdir()
    result = crossgrade("--remove", root / "mine")
    assert isinstance(result.exception, ConfigError)
    assert "no sweep there" in str(result.exception) and (root / "mine").exists()
    assert crossgrade().output == "there are no sweeps in multirun/\n"
