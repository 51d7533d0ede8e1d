"""Golden vectors, read with json and struct only and recomputed in plain integers."""

import hashlib
import json
import math
import struct

import numpy as np
import pytest

from simulator import ProgramError, simulate
from simulator.targets import known_targets
from simulator.vectors import write_vectors
from tests import builders
from tests.simulator import reference

CODES = {
    "int8": "b",
    "uint8": "B",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "float32": "f",
}


def read(folder, tensor):
    """Return a tensor as nested lists, after checking its size and checksum."""
    data = (folder / tensor["file"]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == tensor["sha256"]
    assert len(tensor["order"]) == len(tensor["shape"])
    count = math.prod(tensor["shape"])
    values = list(struct.unpack(f"<{count}{CODES[tensor['dtype']]}", data))
    if tensor["dtype"] != "float32":
        low = -(2 ** (tensor["bits"] - 1)) if tensor["signed"] else 0
        high = 2 ** (tensor["bits"] - tensor["signed"]) - 1
        assert all(low <= value <= high for value in values)
    for size in reversed(tensor["shape"][1:]):
        values = [values[start : start + size] for start in range(0, len(values), size)]
    return values


@pytest.mark.parametrize("buffered", [False, True])
def test_another_implementation_can_replay_every_layer(tmp_path, buffered):
    rng = np.random.default_rng(5)
    program = builders.image_program(rng, buffered=buffered)
    images = builders.images(rng, program, 3)
    write_vectors(program, images, tmp_path / "vectors", batch_size=2)
    folder = tmp_path / "vectors"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["stream"] is buffered
    assert [layer["name"] for layer in manifest["layers"]] == list(program.by_name)
    np.testing.assert_array_equal(read(folder, manifest["input"]), images)
    outputs = {None: read(folder, manifest["input"])}
    for layer in manifest["layers"]:
        registers = {
            name: read(folder, value) if isinstance(value, dict) else value
            for name, value in layer["registers"].items()
        }
        inputs = [read(folder, tensor) for tensor in layer["inputs"]]
        assert inputs == [outputs[tensor["from"]] for tensor in layer["inputs"]]
        got = read(folder, layer["output"])
        if layer["type"] in builders.BUFFERED:
            wanted = reference.run_stream(layer["type"], registers, *inputs)
        else:
            wanted = [
                reference.run(layer["type"], registers, *each) for each in zip(*inputs, strict=True)
            ]
        assert got == wanted
        outputs[layer["name"]] = got
    assert read(folder, manifest["output"]) == wanted
    np.testing.assert_array_equal(wanted, simulate(program, images))


@pytest.mark.parametrize("target", known_targets())
def test_every_program_of_every_target_writes_all_its_files(tmp_path, target):
    for index, make in enumerate(builders.PROGRAMS[target]):
        rng = np.random.default_rng(index)
        program = make(rng)
        folder = tmp_path / str(index)
        write_vectors(program, builders.images(rng, program, 2), folder)
        manifest = json.loads((folder / "manifest.json").read_text())
        named = [manifest["input"], manifest["output"]]
        for layer in manifest["layers"]:
            assert layer["arithmetic"]
            named += [*layer["inputs"], layer["output"]]
            named += [value for value in layer["registers"].values() if isinstance(value, dict)]
        for tensor in named:
            read(folder, tensor)
        written = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
        assert written == {tensor["file"] for tensor in named} | {"manifest.json"}


def test_bytes_do_not_depend_on_the_batch_size(tmp_path):
    rng = np.random.default_rng(0)
    program = builders.image_program(rng, buffered=True)
    images = builders.images(rng, program, 5)
    contents = []
    for size in (1, 2, 5):
        write_vectors(program, images, tmp_path / str(size), batch_size=size)
        folder = tmp_path / str(size)
        contents.append(
            {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        )
    assert contents[0] == contents[1] == contents[2]


def test_layer_names_make_safe_folders(tmp_path):
    rng = np.random.default_rng(0)
    layer = builders.neural_layer("Conv2D", rng, name="block/../1: é")
    program = builders.program([layer])
    write_vectors(program, builders.images(rng, program, 1), tmp_path / "v")
    manifest = json.loads((tmp_path / "v" / "manifest.json").read_text())
    assert manifest["layers"][0]["folder"] == "000_block_.._1___"
    assert manifest["layers"][0]["name"] == layer.name
    assert (tmp_path / "v" / "000_block_.._1___" / "output.bin").is_file()


def test_a_failed_run_leaves_no_files(tmp_path):
    rng = np.random.default_rng(0)
    program = builders.integer_program(rng)
    images = builders.images(rng, program, 4)

    def interrupt(count):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_vectors(program, images, tmp_path / "v", batch_size=1, progress=interrupt)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ProgramError, match="images are float64"):
        write_vectors(program, images + 0.5, tmp_path / "v")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_not_touched(tmp_path):
    rng = np.random.default_rng(0)
    program = builders.integer_program(rng)
    images = builders.images(rng, program, 1)
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "mine").write_text("keep")
    (tmp_path / "file").write_text("keep")
    for name in ("v", "file"):
        with pytest.raises(ProgramError, match="exists already; name a new folder"):
            write_vectors(program, images, tmp_path / name)
    assert (tmp_path / "v" / "mine").read_text() == "keep"
    (tmp_path / "empty").mkdir()
    write_vectors(program, images, tmp_path / "empty")
    assert (tmp_path / "empty" / "manifest.json").is_file()
