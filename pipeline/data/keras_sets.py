"""The data sets that Keras downloads: ``data.name=keras:cifar10``."""

from __future__ import annotations

import zipfile
import zlib

import numpy as np

from pipeline.data.dataset import Dataset
from pipeline.errors import DataError
from pipeline.quiet_tensorflow import quiet_tensorflow
from simulator.malformed import brief

LICENCES = {
    "mnist": "CC BY-SA 3.0",
    "fashion_mnist": "MIT",
    "cifar10": "none stated by its authors",
    "cifar100": "none stated by its authors",
}

DAMAGED = (OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile)


def load(options) -> Dataset:
    """Return the images of `keras.datasets` after the colon of ``options.name``.

    Keras keeps and checks its own downloads; the first use needs a network.
    """
    name = options.name.partition(":")[2]
    if name not in LICENCES:
        raise DataError(f"data.name: found 'keras:{name}'; allowed: {_names()}")
    with quiet_tensorflow():
        import keras

    try:
        train, test = getattr(keras.datasets, name).load_data()
    except Exception as error:
        # Keras reports a failed download by a bare Exception; what else is not of a damaged file
        # is a fault of ours.
        if type(error) is not Exception and not isinstance(error, DAMAGED):
            raise
        reason = brief(error)
        raise DataError(
            f"keras:{name}: Keras could not fetch or read it ({reason}); it needs a network the"
            " first time; choose data=digits or data=fashion_mnist without one"
        ) from error
    (x_train, y_train), (x_test, y_test) = (_split(*part) for part in (train, test))
    return Dataset(
        name=options.name,
        source=f"keras.datasets.{name}",
        licence=LICENCES[name],
        classes=tuple(str(label) for label in range(int(y_train.max()) + 1)),
        x_train=x_train,
        y_train=y_train,
        x_test=x_test,
        y_test=y_test,
    )


def _names() -> str:
    return ", ".join(f"keras:{name}" for name in LICENCES)


def _split(images, labels):
    images = np.asarray(images)
    images = images if images.ndim == 4 else images[..., np.newaxis]
    return images, np.asarray(labels).reshape(-1).astype(np.int64)
