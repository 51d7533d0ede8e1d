"""Fashion-MNIST, 28x28 (Zalando Research), from Debian's package ``dataset-fashion-mnist``."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from pathlib import Path

import numpy as np

from pipeline.data.cache import cache_folder
from pipeline.data.dataset import Dataset
from pipeline.data.debian import unpack_package
from pipeline.errors import DataError

PACKAGE = "dataset-fashion-mnist"
FOLDER = "usr/share/datasets/fashion-mnist"
CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
# SHA-256 of the decompressed files, so that repacked archives are recognised as well.
FILES = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
HEADERS = {"images": 16, "labels": 8}


def load(options, *, system=Path("/") / FOLDER, cache=None) -> Dataset:
    """Return 60,000 training and 10,000 test images of shape (28, 28, 1).

    The four files are searched in ``options.path``, in the system's folder and in the user's
    cache; otherwise the package is downloaded with apt and unpacked to the cache, without
    administrator rights.
    """
    folder = _folder(options.path, Path(system), cache)
    raw = {name: _read(folder / f"{name}.gz", digest) for name, digest in FILES.items()}
    x_train, y_train, x_test, y_test = (_decode(name, raw[name]) for name in FILES)
    return Dataset(
        name="fashion_mnist",
        source=f"Fashion-MNIST, Zalando Research; Debian package {PACKAGE}",
        licence="MIT",
        classes=CLASSES,
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
    )


def _folder(path, system, cache):
    if path is not None:
        lacking = _lacking(Path(path))
        if lacking:
            raise DataError(f"data.path: '{path}' lacks {', '.join(lacking)}")
        return Path(path)
    cached = (cache_folder() if cache is None else Path(cache)) / "fashion_mnist"
    for folder in (system, cached):
        if not _lacking(folder):
            return folder
    unpack_package(PACKAGE, FOLDER, cached)
    return cached


def _lacking(folder):
    return [f"{name}.gz" for name in FILES if not (folder / f"{name}.gz").is_file()]


def _read(path, digest):
    try:
        raw = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: not readable ({error}); delete it and try again") from error
    found = hashlib.sha256(raw).hexdigest()
    if found != digest:
        raise DataError(
            f"{path}: content has SHA-256 {found}, Fashion-MNIST's is {digest}; delete the file "
            "and try again"
        )
    return raw


def _decode(name, raw):
    kind = "images" if "images" in name else "labels"
    values = np.frombuffer(raw, np.uint8, offset=HEADERS[kind])
    return values.reshape(-1, 28, 28, 1) if kind == "images" else values.astype(np.int64)
