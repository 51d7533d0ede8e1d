"""Damage files as disks, transfers, editors and attackers do."""

from __future__ import annotations

import copy
import io
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from itertools import islice

import h5py
import numpy as np

from conformance.damage_onnx import onnx_model

NUMBERS = (0, -1, 1, 2, 3, 7, 255, 2**31, -(2**63), 10**30, 0.0, -0.5, 1e-45, 1e308)
LONG = ("long" * 5000, [[n, "text"] for n in range(5000)], {f"key{n}": n for n in range(5000)})
MOST_PLACES = 20_000
"""A text with more values is not changed further: copies inside copies double in size."""
ODD = (None, True, False, "", "x", "../x", "a\nb", "é", [], {}, [[]], [0] * 9, {"a": 1}, LONG)
NOT_FINITE = (float("nan"), float("inf"), -float("inf"))
DAMAGE = (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError)


def damaged(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Return a damaged copy of a file's content, and the name of the damage."""
    ways = [flip, cut, swap, erase, repeat]
    if content[:4] == b"PK\x03\x04":
        ways += [zip_member] * 4 + [zip_json] * 4
    elif content[:4] == b"\x89HDF":
        ways += [hdf5_json] * 4 + [hdf5_attribute, hdf5_array]
    elif content[:1] == b"\x08":
        ways += [onnx_model] * 10
    else:
        ways += [text_word] * 3 + [text_json] * 3
    way = rng.choice(ways)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        content = way(content, rng)
    return content, way.__name__


def flip(content: bytes, rng: random.Random) -> bytes:
    """Change some bytes, in half of the cases near the start, where headers are."""
    changed = bytearray(content)
    end = rng.choice((len(content), min(len(content), 512)))
    for _ in range(rng.randint(1, 16) if content else 0):
        changed[rng.randrange(end)] = rng.randrange(256)
    return bytes(changed)


def cut(content: bytes, rng: random.Random) -> bytes:
    """Truncate the file."""
    return content[: rng.randrange(len(content) + 1)]


def swap(content: bytes, rng: random.Random) -> bytes:
    """Exchange two blocks."""
    size = min(rng.choice((8, 64, 512)), len(content) // 2)
    a, b = sorted(rng.randrange(len(content) - size + 1) for _ in range(2))
    if b - a < size:
        return content
    parts = content[:a], content[b : b + size], content[a + size : b], content[a : a + size]
    return b"".join(parts) + content[b + size :]


def erase(content: bytes, rng: random.Random) -> bytes:
    """Set a block to zeros."""
    start, size = rng.randrange(len(content) + 1), rng.choice((1, 16, 256, 4096))
    end = min(start + size, len(content))
    return content[:start] + bytes(end - start) + content[end:]


def repeat(content: bytes, rng: random.Random) -> bytes:
    """Repeat a block."""
    start, size = rng.randrange(len(content) + 1), rng.choice((1, 16, 256))
    return content[:start] + content[start : start + size] + content[start:]


def zip_member(content: bytes, rng: random.Random) -> bytes:
    """Damage, remove, duplicate or rename a member; the archive remains valid."""
    members = _members(content)
    if not members:
        return content
    name = rng.choice(list(members))
    kind = rng.choice(("damage", "damage", "drop", "rename", "take"))
    if kind == "damage":
        members[name] = rng.choice((flip, cut, erase, repeat))(members[name], rng)
    elif kind == "take":
        members[name] = members[rng.choice(list(members))]
    else:
        data = members.pop(name)
        if kind == "rename":
            members[rng.choice(("../x.npy", name + "x", "x/", name.upper()))] = data
    return _archive(members)


def zip_json(content: bytes, rng: random.Random) -> bytes:
    """Change values in the JSON members of an archive."""
    members = _members(content)
    for name in members:
        if name.endswith(".json"):
            members[name] = text_json(members[name], rng)
    return _archive(members)


def _members(content: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    except (zipfile.BadZipFile, *DAMAGE, EOFError, NotImplementedError):
        return {}


def _archive(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def hdf5_json(content: bytes, rng: random.Random) -> bytes:
    """Change values in the JSON attributes of an HDF5 file."""

    def change(file):
        for name in ("model_config", "quantization_config"):
            if isinstance(text := file.attrs.get(name), str | bytes):
                data = text if isinstance(text, bytes) else text.encode()
                file.attrs[name] = text_json(data, rng).decode()

    return _edited(content, change)


def hdf5_attribute(content: bytes, rng: random.Random) -> bytes:
    """Replace one attribute."""

    def change(file):
        places = [group for group in _groups(file) if len(group.attrs)]
        attrs = rng.choice(places).attrs
        values = (b"x", 3, np.array([b"a", b"b"]), np.zeros(4), "é", h5py.Empty("f4"))
        attrs[rng.choice(list(attrs))] = rng.choice(values)

    return _edited(content, change)


def hdf5_array(content: bytes, rng: random.Random) -> bytes:
    """Replace or remove one array."""

    def change(file):
        places = [
            (group, name)
            for group in _groups(file)
            for name in group
            if isinstance(group[name], h5py.Dataset)
        ]
        group, name = rng.choice(places)
        shape = group[name].shape
        del group[name]
        arrays = (
            np.zeros(shape, np.int32),
            np.full(shape, rng.choice((np.nan, np.inf, 1e38, -0.0)), np.float32),
            np.zeros((*shape, 2), np.float32),
            np.float32(1),
            np.zeros(shape, np.float16),
            h5py.SoftLink("/"),
            h5py.ExternalLink("other.h5", "/"),
        )
        if (choice := rng.randrange(len(arrays) + 1)) < len(arrays):
            group[name] = arrays[choice]

    return _edited(content, change)


def _groups(file) -> Iterator[h5py.Group]:
    found = [file]
    file.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Group) else None)
    yield from found


def _edited(content: bytes, change: Callable) -> bytes:
    buffer = io.BytesIO(content)
    try:
        with h5py.File(buffer, "r+") as file:
            change(file)
    except (*DAMAGE, IndexError):
        return content
    return buffer.getvalue()


def text_word(content: bytes, rng: random.Random) -> bytes:
    """Replace one word by another word of the text, or by an odd value."""
    words = content.decode("utf-8", "replace").split(" ")
    others = [*words, "-1", "[", "}", "null", "&a", "*a", "!!python/none", "1e999", "\t"]
    words[rng.randrange(len(words))] = rng.choice(others)
    return " ".join(words).encode()


def text_json(content: bytes, rng: random.Random) -> bytes:
    """Change a JSON text: other numbers, types and keys; entries removed or duplicated."""
    try:
        values = json.loads(content)
    except (ValueError, RecursionError):
        return text_word(content, rng)
    for _ in range(rng.randint(1, 3)):
        places = list(islice(_places(values), MOST_PLACES))
        if not 0 < len(places) < MOST_PLACES:
            break
        parent, key = rng.choice(places)
        _change(parent, key, rng, places)
    return json.dumps(values).encode()


def _places(value) -> Iterator[tuple[dict | list, object]]:
    if not isinstance(value, dict | list):
        return
    for key, child in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, key
        yield from _places(child)


def _change(parent, key, rng: random.Random, places) -> None:
    kind = rng.choice(("number", "odd", "copy", "drop", "rename", "infinite"))
    if kind == "number":
        parent[key] = rng.choice(NUMBERS)
    elif kind == "odd":
        odd = rng.choice(ODD)
        parent[key] = copy.deepcopy(rng.choice(LONG) if odd is LONG else odd)
    elif kind == "infinite":
        parent[key] = rng.choice(NOT_FINITE)
    elif kind == "copy":
        other, name = rng.choice(places)
        parent[key] = copy.deepcopy(other[name])
    elif kind == "drop":
        del parent[key]
    elif isinstance(parent, dict):
        parent[rng.choice(("name", "x", str(key) + "_"))] = parent.pop(key)
    else:
        parent.append(copy.deepcopy(parent[key]))
