"""Programs: saving, loading, and every kind of invalid file."""

import dataclasses
import json
import zipfile
from itertools import product

import numpy as np
import pytest

from simulator import Program, ProgramError, simulate
from simulator.archive import write_archive
from tests import builders


@pytest.fixture
def program():
    return builders.integer_program(np.random.default_rng(0))


@pytest.fixture
def saved(program, tmp_path):
    path = tmp_path / "program.npz"
    program.save(path)
    return path


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rewrite(path, contents):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in contents.items():
            archive.writestr(name, data)


def edit(path, change):
    """Change the header of a program file."""
    contents = members(path)
    header = json.loads(contents["header.json"])
    change(header)
    rewrite(path, contents | {"header.json": json.dumps(header).encode()})


def refusal(path):
    with pytest.raises(ProgramError) as caught:
        Program.load(path)
    assert str(path) in str(caught.value) or "not a valid" in str(caught.value)
    return str(caught.value)


def test_a_file_of_another_kind_or_a_missing_file(tmp_path):
    assert refusal(tmp_path / "none.npz") == f"{tmp_path}/none.npz: no such file"
    assert "no such file" in refusal(tmp_path)
    for content in (b"", b"text", b"PK\x03\x04 not a zip", bytes(1000)):
        (tmp_path / "bad.npz").write_bytes(content)
        message = refusal(tmp_path / "bad.npz")
        assert "not a readable crossgrade program file" in message
        assert "\n" not in message
    write_archive(tmp_path / "graph.npz", {"kind": "graph"}, {})
    assert refusal(tmp_path / "graph.npz").endswith("is a graph, expected a program")
    np.savez(tmp_path / "arrays.npz", x=np.zeros(3))
    assert "not a readable crossgrade program file" in refusal(tmp_path / "arrays.npz")
    rewrite(tmp_path / "list.npz", {"header.json": "[]"})
    assert "is a file of unknown kind, expected a program" in refusal(tmp_path / "list.npz")


def test_pickled_arrays_are_refused(saved):
    contents = members(saved)
    name = next(name for name in contents if name.endswith("weights.npy"))
    with saved.with_name("pickle.npy").open("wb") as file:
        np.save(file, np.array([{}], object), allow_pickle=True)
    rewrite(saved, contents | {name: saved.with_name("pickle.npy").read_bytes()})
    assert "not a readable crossgrade program file" in refusal(saved)


def test_a_truncated_file(saved):
    data = saved.read_bytes()
    for length in range(0, len(data), 97):
        saved.write_bytes(data[:length])
        assert "\n" not in refusal(saved)


def test_a_file_with_one_damaged_byte_is_refused_or_means_the_same(saved):
    data = saved.read_bytes()
    whole = {name: content for name, content in members(saved).items()}
    refused = 0
    for position in range(0, len(data), 5):
        damaged = bytearray(data)
        damaged[position] ^= 0xFF
        saved.write_bytes(bytes(damaged))
        try:
            Program.load(saved)
        except ProgramError as error:
            refused += 1
            assert str(error)
        else:
            # Dates and attributes of members do not matter; their content does.
            kept = members(saved)
            assert sorted(kept.values()) == sorted(whole.values())
    assert refused > 0.5 * len(data) / 5


def test_every_missing_member_is_named(saved):
    contents = members(saved)
    for name in contents:
        rewrite(saved, {key: value for key, value in contents.items() if key != name})
        if name.split("/")[-1] in ("weights.npy", "header.json"):
            assert "file" in refusal(saved)


JUNK = (None, 0, -1, 1 << 40, 2.5, "junk", [], [0, 0], {}, True)


def paths(value, path=()):
    """Yield the place of every value in a JSON document."""
    yield path
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, item in items:
        yield from paths(item, (*path, key))


def test_header_edits_are_refused_or_make_a_valid_program(saved):
    """Replace every value of the header by values of every type, and remove it."""
    contents = members(saved)
    original = json.loads(contents["header.json"])
    tried = refused = 0
    for path, junk in product(paths(original), (*JUNK, KeyError)):
        if not path:
            continue
        header = json.loads(contents["header.json"])
        parent = header
        for key in path[:-1]:
            parent = parent[key]
        if junk is KeyError:
            del parent[path[-1]]
        else:
            parent[path[-1]] = junk
        rewrite(saved, contents | {"header.json": json.dumps(header).encode()})
        tried += 1
        try:
            program = Program.load(saved)
            simulate(program, builders.images(np.random.default_rng(0), program, 1))
        except ProgramError:
            refused += 1
    assert refused > 0.6 * tried


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: h.update(format=99), "program format 99; this version reads 1"),
        (lambda h: h.pop("format"), "program format None; this version reads 1"),
        (
            lambda h: h.update(target="akida_v7"),
            "unknown target 'akida_v7'; known targets: akida_v1, akida_v2",
        ),
        (lambda h: h["layers"][1].update(type="Conv3D"), "layer conv is a 'Conv3D'; this target"),
        (
            lambda h: h["layers"][1].update(colour="red"),
            r"layer conv \(Conv2D\) has no register 'colour'",
        ),
        (lambda h: h["layers"][1].pop("type"), r"damaged program file \('type'\); convert again"),
        (lambda h: h.pop("layers"), r"damaged program file \('layers'\); convert again"),
        (lambda h: h.update(layers=[]), "it has no layers"),
        (
            lambda h: h["layers"][1].update(buffer_bits="wide"),
            "conv: buffer_bits is 'wide'; needs int",
        ),
        (lambda h: h["layers"][1].update(kernel_stride=[0, 0]), "both must be pairs of integers"),
        (lambda h: h["layers"][1].update(padding="around"), "padding is 'around'; allowed: same"),
        (lambda h: h["layers"][1].update(inputs=["late"]), r"reads \['late'\], not an earlier"),
        (lambda h: h["layers"][1].update(inputs=[]), "reads nothing, not an earlier layer"),
        (lambda h: h["layers"][1].update(name="data"), "damaged program file"),
        (lambda h: h["layers"][0].update(name="conv"), "conv: two layers have this name"),
        (lambda h: h.update(input_dtype="float16"), "input_dtype is 'float16'; allowed: uint8"),
        (lambda h: h.update(input_dtype="float32"), "data: reads integers, but the program's"),
        (
            lambda h: h.update(input_shape=[5, 6, 3]),
            r"data: expects inputs of \(\(5, 6, 2\),\), gets",
        ),
        (lambda h: h.update(output_shape=[5]), r"output_shape \(5,\) is not that of dense"),
    ],
)
def test_header_edits_are_reported(saved, change, message):
    edit(saved, change)
    with pytest.raises(ProgramError, match=message):
        Program.load(saved)


def test_floats_do_not_enter_integer_layers():
    rng = np.random.default_rng(0)
    scaled = builders.dequantizer_layer(rng, name="scaled", inputs=(), input_shape=(5, 6, 3))
    layer = builders.neural_layer("Conv2D", rng, inputs=("scaled",))
    with pytest.raises(ProgramError, match="layer: reads integers, but scaled gives floating"):
        builders.program([scaled, layer])
    with pytest.raises(ProgramError, match="quantizer: reads floating-point numbers, but the prog"):
        builders.program([builders.quantizer_layer(rng)], input_dtype="uint8")


def test_a_layer_of_another_chip_is_refused(program):
    other = builders.PROGRAMS["akida_v1"][0](np.random.default_rng(0))
    with pytest.raises(ProgramError, match="akida_v2 has no layer FullyConnected"):
        dataclasses.replace(other, target="akida_v2")


def test_notes_and_names_survive(program, tmp_path):
    renamed = dataclasses.replace(program, name="ünïcode / name", notes=("a", "b"))
    renamed.save(tmp_path / "p.npz")
    loaded = Program.load(tmp_path / "p.npz")
    assert (loaded.name, loaded.notes) == ("ünïcode / name", ("a", "b"))
