"""The images on which ranges of activations are measured."""

from __future__ import annotations

import numpy as np

from pipeline.data.dataset import Dataset
from pipeline.data.stored_images import Images, choose
from pipeline.errors import DataError


def calibration_samples(data: Dataset, options) -> Images | None:
    """Return the training images that ``quantization.calibration`` asks for.

    Parameters
    ----------
    data : Dataset
    options : pipeline.config.Calibration
        ``source``, ``samples`` and ``seed``.

    Returns
    -------
    uint8 array of shape (samples, height, width, channels), or StoredImages, or None
        In shuffled order; None when ``source`` is ``random``: quantization draws its own noise.

    Raises
    ------
    DataError
        When the data has fewer images than asked for.
    """
    if options.source == "random":
        return None
    available = len(data.x_train)
    if options.samples > available:
        raise DataError(
            f"quantization.calibration.samples: found {options.samples}; {data.name} has "
            f"{available} training images; set it to {available} or less"
        )
    rng = np.random.default_rng(options.seed)
    return choose(data.x_train, rng.permutation(available)[: options.samples])
