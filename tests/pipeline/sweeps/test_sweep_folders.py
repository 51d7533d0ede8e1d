"""Folders of sweeps: resuming, starting anew, and keys of shared stages."""

import copy
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.config.compose import compose
from pipeline.errors import ConfigError
from pipeline.files import tree_hash
from pipeline.sweeps.launch import cluster_options
from pipeline.sweeps.outcome import REFUSED, Outcome, load_outcome
from pipeline.sweeps.stage_keys import stage_keys
from pipeline.sweeps.sweep import is_running, load_sweep, open_sweep, sweeps

SOURCE = Path(__file__).parents[3]
OVERRIDES = ("quantization.weight_bits=4,8", "hydra/launcher=joblib")


@pytest.fixture
def root(tmp_path):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "config.yaml").write_text("seed: 0")
    (tmp_path / "dvc.yaml").write_text("stages: {}")
    return tmp_path


def begin(root, overrides=OVERRIDES, store="sqlite:///x.db"):
    return open_sweep(root, overrides, objectives=("accuracy",), store=store)


def test_an_interrupted_sweep_resumes_and_a_complete_one_does_not(root):
    with begin(root) as (first, begun):
        assert not begun and is_running(first)
        assert first.overrides == OVERRIDES[:1], "launchers do not make another sweep"
    assert not is_running(first)
    with begin(root, [OVERRIDES[0], "hydra/launcher=basic"], store="http://x") as (second, begun):
        assert begun and second.key == first.key and second.store == "http://x"
        replace(second, complete=True).save()
    with begin(root) as (third, begun):
        assert not begun and third.key != first.key and third.folder != first.folder
    assert [sweep.key for sweep in sweeps(root)] == [first.key, third.key]


def test_other_values_and_other_code_are_another_sweep(root):
    with begin(root) as (first, _):
        pass
    with begin(root, ["quantization.weight_bits=2,4"]) as (_, begun):
        assert not begun
    (root / "conf" / "config.yaml").write_text("seed: 1")
    with begin(root) as (_, begun):
        assert not begun
    assert (Path(first.folder) / "code/conf/config.yaml").read_text() == "seed: 0"


def test_a_sweep_started_during_another_has_its_own_folder(root):
    with begin(root) as (first, _), begin(root) as (second, begun):
        assert not begun and second.folder != first.folder


def test_many_sweeps_can_begin_at_once(root):
    folders = []

    def one():
        with begin(root) as (sweep, _):
            folders.append(sweep.folder)

    threads = [threading.Thread(target=one) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(folders) == 5


def test_a_named_folder(root):
    named = [*OVERRIDES, f"hydra.sweep.dir={root / 'kept here'}"]
    with begin(root, named) as (sweep, _):
        assert Path(sweep.folder) == root / "kept here"
        with pytest.raises(ConfigError, match="is running"), begin(root, named):
            pass
    with begin(root, named) as (again, begun):
        assert begun and again.key == sweep.key
    other = ["seed=1,2", named[-1]]
    with pytest.raises(ConfigError, match="holds another sweep"), begin(root, other):
        pass


def test_outcomes_and_headers_read_back(root):
    with begin(root) as (sweep, _):
        folder = sweep.points / "abc"
        outcome = Outcome(number=3, state=REFUSED, changed={"a": "1"}, params={}, reason="no")
        assert load_outcome(folder) is None
        outcome.save(folder)
        assert sweep.outcomes() == [(folder, outcome)]
        assert load_sweep(sweep.folder) == sweep


@pytest.fixture(scope="module")
def values():
    return compose(folder=SOURCE / "conf")


@pytest.mark.parametrize(
    ("section", "key", "value", "first"),
    [
        ("training", "epochs", 99, "build"),
        ("transforms", "samples", 7, "transform"),
        ("quantization", "weight_bits", 4, "quantize"),
        ("target", "name", "akida_v1", "convert"),
        ("evaluate", "samples", 3, "evaluate"),
    ],
)
def test_a_key_changes_with_its_stages_dependencies(values, section, key, value, first):
    stages = ("build", "transform", "quantize", "convert", "evaluate")
    changed = copy.deepcopy(values)
    changed[section][key] = value
    before, after = stage_keys(SOURCE, values), stage_keys(SOURCE, changed)
    differing = [stage for stage in stages if before[stage] != after[stage]]
    assert differing == list(stages[stages.index(first) :])


def test_the_hash_of_a_folder_is_that_of_its_files(tmp_path):
    (tmp_path / "a" / "__pycache__").mkdir(parents=True)
    (tmp_path / "a" / "x.py").write_text("1")
    first = tree_hash(tmp_path / "a")
    (tmp_path / "a" / "__pycache__" / "x.pyc").write_text("2")
    assert tree_hash(tmp_path / "a") == first
    (tmp_path / "a" / "x.py").rename(tmp_path / "a" / "y.py")
    assert tree_hash(tmp_path / "a") != first


def test_a_clusters_address_goes_without_a_size_of_its_memory():
    address = "+hydra.launcher.ray.init.address=auto"
    size = "hydra.launcher.ray.init.object_store_memory"
    assert cluster_options(["seed=1,2", "hydra/launcher=ray"]) == []
    assert cluster_options(["hydra/launcher=ray", address]) == [f"+{size}=null"]
    assert cluster_options([address, f"+{size}=1"]) == []


def test_names_of_points(root):
    with begin(root) as (sweep, _):
        changed = {"quantization.weight_bits": "4"}
        assert sweep.point_name(changed) == "weight_bits=4"
        assert sweep.run_name(changed) == "4 (weight_bits)"
    with begin(root, ["seed=1"]) as (sweep, _):
        assert sweep.point_name({}) == sweep.run_name({}) == "the only point"
