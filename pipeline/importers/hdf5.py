"""Read untrusted HDF5 files in a separate process, with bounded time and memory.

The HDF5 library is written in C, and damaged files make it loop or crash, which its own process
cannot prevent. A child process therefore reads the file, and its content becomes plain groups and
arrays here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.errors import ModelError
from pipeline.importers.hdf5_process import READER

# Keras stores weights uncompressed: a file that claims much more than it holds is damaged or made
# to exhaust memory. The allowance covers small compressed models.
EXPANSION, ALLOWANCE = 16, 1 << 24
DAMAGE = (KeyError, ValueError, TypeError, AttributeError)


class DamagedFileError(ModelError):
    """The file is damaged, rather than one of its layers not supported."""


class NotFiniteError(ModelError):
    """A weight of a layer is NaN, infinite or beyond float32.

    Parameters
    ----------
    name : str
        The weight's name.
    count, size : int
        Such values, and all values.
    """

    def __init__(self, name: str, count: int, size: int):
        super().__init__(
            f"weight '{name}': {count} of {size} values are NaN, infinite or beyond float32;"
            " allowed: finite ones; train again, with a lower learning rate"
        )


@dataclass(frozen=True, eq=False)
class Array:
    """An array in a file.

    Attributes
    ----------
    dtype : str
        Such as ``<f4`` for numbers; for other types a text for messages.
    shape : tuple of int
    size : int
        Bytes according to the file.
    values : array or None
        None if it was not read: not numeric, larger than the file can hold, or in another file.
    elsewhere : bool
        True if it is stored in another file.
    """

    dtype: str
    shape: tuple[int, ...]
    size: int
    values: np.ndarray | None
    elsewhere: bool = False


@dataclass(frozen=True, eq=False)
class Group:
    """A group of a file.

    Attributes
    ----------
    attrs : mapping of str to str, list of str, or None
        None for attributes that are unreadable or of other types.
    members : mapping of str to Group or Array
        Without links to other files and unreadable members.
    """

    attrs: Mapping[str, str | list[str] | None] = field(default_factory=dict)
    members: Mapping[str, Group | Array] = field(default_factory=dict)

    def find(self, path: str) -> Group | Array | None:
        """Return the member at a path with ``/``, or None."""
        found: Group | Array | None = self
        for part in filter(None, path.split("/")):
            found = found.members.get(part) if isinstance(found, Group) else None
        return found


def read_hdf5(content: bytes, label: str, members: Sequence[str]) -> Group:
    """Return the root group of an HDF5 file.

    Parameters
    ----------
    content : bytes
        The whole file.
    label : str
        Name of the file for messages.
    members : sequence of str
        Members of the root to read.

    Raises
    ------
    DamagedFileError
        If it is not readable as HDF5 within the limits of time and memory.
    """
    limit = EXPANSION * len(content) + ALLOWANCE
    try:
        text, data = READER.read(content, limit, members)
        tree = json.loads(text)
        if tree is not None:
            return _group(tree, memoryview(data))
    except (OSError, *DAMAGE) as error:
        raise DamagedFileError(
            f"{label}: the HDF5 library crashed or did not finish reading it; the file is"
            " damaged: copy or download it again"
        ) from error
    raise DamagedFileError(
        f"{label}: HDF5 data is truncated or damaged; copy or download the file again"
    )


def _group(tree: Mapping, data: memoryview) -> Group:
    """Return the group described by the child, with its arrays from `data`, in order."""
    position = 0

    def group(node) -> Group:
        members = {name: member(value) for name, value in node["members"].items()}
        return Group(node["attrs"], {name: m for name, m in members.items() if m is not None})

    def member(node) -> Group | Array | None:
        if "damaged" in node:
            return None
        return group(node) if "members" in node else array(node)

    def array(node) -> Array:
        nonlocal position
        shape, values = tuple(node["shape"]), None
        if node.get("bytes") is not None:
            part = data[position : position + node["bytes"]]
            values = np.frombuffer(part, node["dtype"]).reshape(shape)
            position += node["bytes"]
        return Array(
            node["dtype"], shape, node.get("size", 0), values, node.get("elsewhere", False)
        )

    return group(tree)


class ArrayReader:
    """Reads float arrays of one file.

    Parameters
    ----------
    label : str
        Name of the file for messages.
    """

    def __init__(self, label: str):
        self.label = label

    def read(self, group: Group, name: str, shown: str | None = None) -> np.ndarray:
        """Return the float32 array stored at `name`, a path inside `group`.

        Raises
        ------
        DamagedFileError
            If it is missing, not a float array, larger than the file can hold, stored in another
            file, or has values that are not finite.
        """
        found = group.find(name)
        if found is None:
            raise self._refusal(name, "is missing or damaged")
        if isinstance(found, Group) or found.dtype[1:2] != "f":
            kind = "a group" if isinstance(found, Group) else found.dtype
            raise self._refusal(name, f"is {kind}; weights are float arrays")
        if found.elsewhere:
            raise self._refusal(name, "lies in another file; save it again")
        if found.values is None:
            raise self._refusal(
                name,
                f"claims the shape {found.shape}, more than the file can hold; the file is damaged",
            )
        # A value out of float32's range becomes infinite, which is refused below.
        with np.errstate(over="ignore"):
            array = np.asarray(found.values, np.float32)
        if not np.isfinite(array).all():
            raise NotFiniteError(shown or name, int(np.sum(~np.isfinite(array))), array.size)
        return array

    def _refusal(self, name: str, reason: str) -> DamagedFileError:
        return DamagedFileError(f"{self.label}: weight '{name}' {reason}")


def text_attribute(group: Group, name: str, label: str) -> str | None:
    """Return a text attribute of a group, or None."""
    value = group.attrs.get(name)
    if name in group.attrs and not isinstance(value, str):
        raise DamagedFileError(f"{label}: its attribute '{name}' is not text; the file is damaged")
    return value


def text_list(group: Group, name: str) -> list[str]:
    """Return a list of texts from an attribute; Keras splits long lists over `name`0, 1...

    Raises
    ------
    TypeError
        If the attribute is not a list of texts.
    """
    if name in group.attrs:
        return [*group.attrs[name]]
    texts, number = [], 0
    while f"{name}{number}" in group.attrs:
        texts += group.attrs[f"{name}{number}"]
        number += 1
    return texts
