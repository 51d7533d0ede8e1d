"""Damaged files of every kind: a slice of ``python -m conformance.fuzz``."""

import json
import os
import random
import re
import shutil
import time

import h5py
import numpy as np
import pytest

from conformance import fuzz
from conformance.damage import text_json
from conformance.fuzz import Run, examine
from conformance.fuzz_samples import make_samples
from pipeline.graph.architecture import build_graph
from pipeline.graph.architecture_file import read_architecture
from pipeline.graph.archive import load_graph, save_graph
from simulator.archive import read_archive, write_archive
from tests.repository import SOURCE

pytestmark = pytest.mark.slow
EACH = 12


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return make_samples(tmp_path_factory.mktemp("samples"))


def test_every_damaged_file_is_read_or_refused(samples, tmp_path):
    outcomes = Run(samples, 1, EACH * len(samples), tmp_path).run()
    assert {name: count.total() for name, count in outcomes.items()} == {
        path.name: EACH for path in samples
    }
    found = {kind for count in outcomes.values() for kind in count}
    assert found == {"read", "refused"}, sorted(tmp_path.iterdir())


def test_the_samples_are_of_every_kind_and_valid(samples):
    assert {path.suffix for path in samples} >= {".h5", ".keras", ".npz", ".onnx", ".yaml", ".json"}
    for path in samples:
        assert examine(path, fuzz._reader(path.name)) == ("read", "")


def ending(pipe):
    """Crash like a C library, on the second file."""
    pipe.send("ready")
    pipe.recv()
    pipe.send(("read", "", 0.0, 1))
    pipe.recv()
    os.abort()


def endless(pipe):
    """Compute for ever, on the second file."""
    pipe.send("ready")
    pipe.recv()
    pipe.send(("read", "", 0.0, 1))
    pipe.recv()
    while True:
        time.process_time()


@pytest.mark.parametrize(("reader", "outcome"), [(ending, "crash"), (endless, "slow")])
def test_planted_crashes_and_loops_are_found(samples, tmp_path, monkeypatch, reader, outcome):
    monkeypatch.setattr(fuzz, "LIMIT_SECONDS", 0.5)
    counts = sum_of(Run(samples[:1], 0, 4, tmp_path, reader).run())
    assert counts == {"read": 2, outcome: 2}
    assert len(list(tmp_path.iterdir())) == 2


def sum_of(outcomes):
    (counts,) = outcomes.values()
    return dict(counts)


def test_another_exception_is_a_fault(tmp_path):
    def read(path):
        raise OverflowError("cannot convert float infinity to integer")

    outcome, why = examine(tmp_path, read)
    assert outcome == "fault" and "test_fuzz.py" in why


def test_a_header_with_values_of_other_types(tmp_path):
    path = tmp_path / "graph.npz"
    save_graph(path, build_graph(read_architecture("mlp", []), seed=0))
    header, arrays = read_archive(path, "graph")
    for entry in header["nodes"]:
        for key in entry:
            for odd in ("text", "x" * 10000, 7, None, [], {}, [[1, 2, 3]]):
                changed = [{**e, key: odd} if e is entry else e for e in header["nodes"]]
                write_archive(path, {**header, "nodes": changed}, arrays)
                assert examine(path, load_graph)[0] in ("read", "refused"), (key, odd)


@pytest.mark.parametrize("width", [10**30, 1e308, -1, 0, 2.5, float("inf"), "x", None])
@pytest.mark.parametrize("name", ["cnn2snn_small.h5", "quantized_flatten.h5"])
def test_widths_that_would_fill_the_memory(tmp_path, name, width):
    path = tmp_path / name
    shutil.copy2(SOURCE / "tests" / "fixtures" / name, path)
    with h5py.File(path, "r+") as file:
        text = re.sub(r'bitwidth": \d+', f'bitwidth": {json.dumps(width)}', text_of(file))
        file.attrs["model_config"] = text
    outcome, why = examine(path, fuzz._reader(name))
    assert outcome == "refused" and "bitwidth" in why


def text_of(file):
    text = file.attrs["model_config"]
    return text.decode() if isinstance(text, bytes) else text


def test_copies_inside_copies_stay_small():
    content = json.dumps({"a": [[n] for n in range(9000)]}).encode()
    for seed in range(40):
        assert len(text_json(content, random.Random(seed))) < 20 * len(content)


def test_a_member_under_another_name_in_its_own_header(tmp_path):
    path = tmp_path / "program.npz"
    np.savez(path, weights=np.arange(999.0))
    content = path.read_bytes()
    path.write_bytes(content.replace(b"weights.npy", bytes(range(240, 251)), 1))
    outcome, why = examine(path, fuzz._program)
    assert outcome == "refused" and len(why) < 500
