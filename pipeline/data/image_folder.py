"""The user's own pictures: one folder per class."""

from __future__ import annotations

import hashlib
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.data import store
from pipeline.data.dataset import Dataset
from pipeline.errors import DataError
from pipeline.files import file_sha256

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
SPLITS = ("train", "test")
TEST_SHARE = 0.2


def load(options) -> Dataset:
    """Return the pictures in ``options.path``.

    The folder holds ``train`` and ``test`` with one folder per class each, or the classes' folders
    themselves; then a fifth of the pictures, chosen by a checksum of their names, is the test.
    Classes are numbered by name. ``data.image_size`` makes all pictures that many pixels high and
    wide; without it they have one size already. Grey pictures have one channel, unless there are
    coloured ones among them. Large sets are written to the user's cache as
    one array for each split, and read from there.
    """
    root, size = Path(options.path or ""), options.image_size
    if not options.path or not root.is_dir():
        raise DataError(f"data.path: no folder '{options.path}'; it must hold one folder per class")
    classes, splits = _find(root)
    found = {path: _look(path) for pairs in splits.values() for path, _ in pairs}
    colour = any(coloured for _, coloured in found.values())
    if size is None:
        _check_sizes(root, {path: shape for path, (shape, _) in found.items()})
    arrays = {}
    for split, pairs in splits.items():
        images, labels = store.collect(
            _read(pairs, size, colour),
            len(pairs),
            store.place("image_folder", root) / f"{split}-{size or 'own'}.npy",
            lambda: f"{fingerprint(root)} {size} {colour}",
        )
        arrays |= {f"x_{split}": images, f"y_{split}": labels}
    return Dataset(
        name=str(root),
        source=f"folder {root.name}",
        licence="the user's own",
        classes=classes,
        **arrays,
    )


def fingerprint(path) -> str:
    """Return the SHA-256 of names and contents of all pictures, in hexadecimal."""
    found, root = hashlib.sha256(), Path(path)
    for picture in _pictures(root):
        found.update(f"{picture.relative_to(root).as_posix()}\n".encode())
        found.update(bytes.fromhex(file_sha256(picture)))
    return found.hexdigest()


def read_picture(path: Path, size: int | None, colour: bool) -> np.ndarray:
    """Return a picture as a uint8 array of shape (height, width, 1 or 3).

    Raises
    ------
    DataError
        When the file is no readable picture.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            pixels = picture.convert("RGB" if colour else "L")
            if size is not None:
                pixels = pixels.resize((size, size), Image.Resampling.BILINEAR)
            return np.array(pixels, np.uint8).reshape(pixels.height, pixels.width, -1)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise DataError(
            f"{path}: not a readable picture ({error}); remove or replace it"
        ) from error


def _find(root: Path):
    """Return the classes' names, and (picture, label) of each split."""
    parts = {split: root / split for split in SPLITS if (root / split).is_dir()}
    if len(parts) == 1:
        missing = next(split for split in SPLITS if split not in parts)
        raise DataError(f"{root}: holds {next(iter(parts))}, but no {missing}; give both or none")
    folders = sorted({f.name for part in (parts.values() or [root]) for f in _folders(part)})
    splits = {split: [] for split in SPLITS}
    for split, part in (parts or {None: root}).items():
        for label, name in enumerate(folders):
            for picture in _pictures(part / name):
                splits[split or _drawn(name, picture)].append((picture, label))
    empty = [split for split in SPLITS if not splits[split]]
    if empty or len(folders) < 2:
        counts = ", ".join(f"{len(splits[s])} {s} pictures" for s in SPLITS)
        raise DataError(
            f"{root}: found {len(folders)} folders with {counts}; needed: two or more folders, one"
            f" per class, with pictures ({', '.join(s[1:] for s in SUFFIXES)}) for both"
        )
    return tuple(folders), splits


def _folders(folder: Path):
    return [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]


def _pictures(folder: Path):
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def _drawn(name: str, picture: Path) -> str:
    share = zlib.crc32(f"{name}/{picture.name}".encode()) / 2**32
    return "test" if share < TEST_SHARE else "train"


def _read(pairs, size, colour) -> Iterator[tuple[np.ndarray, int]]:
    for path, label in pairs:
        yield read_picture(path, size, colour), label


def _look(path: Path) -> tuple[tuple[int, int], bool]:
    """Return width and height of a picture, and whether it is coloured; pixels are not read."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            return picture.size, picture.mode not in ("1", "L", "LA", "I", "I;16", "F")
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(
            f"{path}: not a readable picture ({error}); remove or replace it"
        ) from error


def _check_sizes(root, sizes) -> None:
    counts = Counter(sizes.values())
    if len(counts) > 1:
        usual = counts.most_common(1)[0][0]
        odd = next(path for path, size in sizes.items() if size != usual)
        raise DataError(
            f"{root}: pictures of {len(counts)} sizes, such as {odd.name}; set data.image_size to"
            " make them all that many pixels high and wide"
        )
