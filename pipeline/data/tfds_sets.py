"""The data sets of TensorFlow Datasets: ``data.name=tfds:cifar10``."""

from __future__ import annotations

import logging

import numpy as np

from pipeline.data import store
from pipeline.data.dataset import Dataset
from pipeline.errors import DataError
from pipeline.packages import require
from pipeline.quiet_tensorflow import quiet_tensorflow
from simulator.malformed import brief

SPLITS = ("train", "test")


def load(options) -> Dataset:
    """Return the images of the set after the colon of ``options.name``.

    ``options.path`` is the folder that TensorFlow Datasets keeps its files in. Images are read one
    by one, only as many as ``data.train_samples`` and ``data.test_samples`` ask for, and brought to
    ``data.image_size`` where that is given.
    """
    require("tensorflow_datasets", f"data.name={options.name}")
    with quiet_tensorflow():
        import tensorflow  # noqa: F401 - the other package would import it later, with notices
        import tensorflow_datasets as tfds
    for chatty in ("absl", "urllib3"):  # they log every failed download
        logging.getLogger(chatty).setLevel(logging.CRITICAL)
    name = options.name.partition(":")[2]
    wanted = dict(zip(SPLITS, (options.train_samples, options.test_samples), strict=True))
    slices = [s if wanted[s] is None else f"{s}[:{wanted[s]}]" for s in SPLITS]
    try:
        # Unknown names and missing splits are ValueError, failed downloads OSError.
        parts, info = tfds.load(
            name,
            split=slices,
            as_supervised=True,
            with_info=True,
            data_dir=options.path,
            # Its own cache would hold small sets once more, and warns of sets not read whole.
            read_config=tfds.ReadConfig(try_autocache=False),
        )
    except (ValueError, OSError, KeyError) as error:
        # The rest of the message lists all known sets.
        reason = brief(error).partition(" Available datasets")[0][:300]
        raise DataError(
            f"data.name: '{options.name}' cannot be had ({reason}); it needs pairs of image and"
            " label, the splits train and test, and a network the first time"
        ) from error
    arrays = {}
    for part, split, text in zip(parts, SPLITS, slices, strict=True):
        recipe = f"{info.full_name} {text} {options.image_size}"
        images, labels = store.collect(
            _examples(tfds.as_numpy(part), options.image_size),
            len(part),
            store.place(recipe, info.data_dir) / f"{split}.npy",
            lambda recipe=recipe: recipe,
        )
        arrays |= {f"x_{split}": images, f"y_{split}": labels}
    return Dataset(
        name=options.name,
        source=f"TensorFlow Datasets, {info.full_name}",
        licence=info.redistribution_info.license or "see the set's own page",
        classes=tuple(info.features["label"].names),
        **arrays,
    )


def _examples(pairs, size):
    for image, label in pairs:
        yield (image if size is None else _resized(image, size)), int(label)


def _resized(image, size):
    from PIL import Image

    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    pixels = picture.resize((size, size), Image.Resampling.BILINEAR)
    return np.array(pixels, np.uint8).reshape(size, size, -1)
