"""Read HDF5 files in a child process, where the HDF5 library may loop or crash.

Each request is a line of JSON (``size`` of the file, ``limit`` in bytes of the arrays that may be
read, wanted ``members`` of the root) and the file; each reply is a line with two lengths, a tree as
JSON, and the raw bytes of all arrays in order. Only h5py and NumPy are imported, nothing of this
package.
"""

from __future__ import annotations

import io
import json
import sys

import h5py

SECONDS, SPARE = 5, 1 << 30
"""Limits of CPU time in seconds, and of address space in bytes in addition to the arrays."""
DEPTH, OBJECTS = 40, 1 << 16
"""Largest depth of groups and largest number of objects in a model file."""
DAMAGE = (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError, MemoryError)


def main() -> None:
    """Serve requests until the input ends."""
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    while line := requests.readline():
        request = json.loads(line)
        content = requests.read(request["size"])
        limit = request["limit"]
        _limit_resources(3 * len(content) + 2 * limit)
        arrays: list[bytes] = []
        found = TreeReader(limit, arrays).file(io.BytesIO(content), request["members"])
        tree = json.dumps(found).encode()
        replies.write(f"{len(tree)} {sum(map(len, arrays))}\n".encode())
        replies.writelines([tree, *arrays])
        replies.flush()


def _limit_resources(size: int) -> None:
    """Limit the CPU time of this request, and its new memory to `size` bytes."""
    try:
        import resource
    except ImportError:  # Windows: only the parent's timeout ends it
        return
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = int(usage.ru_utime + usage.ru_stime)
    _set_soft_limit(resource, resource.RLIMIT_CPU, used + SECONDS + 1)
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    _set_soft_limit(resource, resource.RLIMIT_AS, pages * resource.getpagesize() + size + SPARE)


def _set_soft_limit(resource, kind: int, value: int) -> None:
    """Set a soft limit, within the user's own limit; the next request may raise it again."""
    _, hard = resource.getrlimit(kind)
    soft = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (soft, hard))


class TreeReader:
    """Reads a file as JSON values and raw arrays.

    Parameters
    ----------
    limit : int
        Largest number of bytes of arrays to read.
    arrays : list
        Receives the bytes of each array.
    """

    def __init__(self, limit: int, arrays: list):
        self.limit, self.arrays, self.objects = limit, arrays, 0

    def file(self, source, members) -> dict | None:
        """Return the root with the requested members; None if it is not readable as HDF5."""
        try:
            with h5py.File(source, "r") as file:
                # On Windows, Keras joins the names of groups with backslashes.
                joined = [name for name in file if name.partition("\\")[0] in members]
                return self.node(file, 0, [*dict.fromkeys([*members, *joined])])
        except DAMAGE:
            return None

    def node(self, group, depth: int, members=None) -> dict:
        """Return a group: its attributes and members."""
        try:
            names = list(group) if members is None else members
        except DAMAGE:
            return {"damaged": True}
        found: dict[str, dict] = {}
        for name in names:
            self.objects += 1
            if depth > DEPTH or self.objects > OBJECTS:
                raise RuntimeError("more objects than a model has")
            try:
                link = group.get(name, getlink=True)
                member = group[name] if isinstance(link, h5py.HardLink) else None
            except DAMAGE:
                member = None
            if isinstance(member, h5py.Group):
                found[name] = self.node(member, depth + 1)
            elif isinstance(member, h5py.Dataset):
                found[name] = self.array(member)
        return {"attrs": _attributes(group), "members": found}

    def array(self, dataset) -> dict:
        """Return a data set: its type and shape, and ``bytes`` if it was read."""
        try:
            shape, kind = list(dataset.shape), dataset.dtype
            entry = {"shape": shape, "dtype": kind.str if kind.kind in "biuf" else str(kind)}
            if dataset.external or dataset.is_virtual:
                return {**entry, "elsewhere": True}
            size = dataset.size * kind.itemsize
            if kind.kind not in "biuf" or size > self.limit:
                return {**entry, "bytes": None, "size": size}
            self.limit -= size
            data = dataset[()].tobytes()
        except DAMAGE:
            return {"damaged": True}
        self.arrays.append(data)
        return {**entry, "bytes": len(data), "size": size}


def _attributes(group) -> dict:
    """Return the attributes that are texts or lists of texts; None for others."""
    found = {}
    try:
        for name in group.attrs:
            found[name] = _text_attribute(group.attrs, name)
    except DAMAGE:
        pass  # an attribute that was not read is refused where it is needed
    return found


def _text_attribute(attributes, name: str):
    try:
        return _text(attributes[name])
    except DAMAGE:
        return None


def _text(value):
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, str):
        return value
    items = [_text(item) for item in value]
    return items if all(isinstance(item, str) for item in items) else None


if __name__ == "__main__":
    main()
