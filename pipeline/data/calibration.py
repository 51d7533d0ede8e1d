"""Choose the images on which activation ranges are measured."""

from __future__ import annotations

import numpy as np

from pipeline.data.dataset import Dataset
from pipeline.data.stored_images import Images, choose


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
        In shuffled order; all there are, where they are fewer. None when ``source`` is
        ``random``: quantization draws its own noise.
    """
    if options.source == "random":
        return None
    rng = np.random.default_rng(options.seed)
    return choose(data.x_train, rng.permutation(len(data.x_train))[: options.samples])
