"""Choose the images on which ranges are measured, widths are chosen, and registers trained."""

from __future__ import annotations

import numpy as np

from pipeline.data.dataset import Dataset
from pipeline.data.stored_images import Images, choose
from pipeline.errors import ConfigError


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
    return choose(data.x_train, _order(data, options.seed)[: options.samples])


def training_samples(data: Dataset, options) -> tuple[Images, np.ndarray]:
    """Return the training images on which registers are trained, and their labels.

    Parameters
    ----------
    data : Dataset
    options : pipeline.config.Quantization
        ``training.samples`` and ``calibration.seed``.

    Returns
    -------
    images : array of shape (samples, height, width, channels), or StoredImages
        In the order of `calibration_samples`, which are the first of them.
    labels : array of shape (samples, ...)
    """
    chosen = _order(data, options.calibration.seed)[: options.training.samples]
    return choose(data.x_train, chosen), data.y_train[chosen]


def choice_samples(data: Dataset, options, count: int) -> tuple[Images, np.ndarray]:
    """Return training images to choose by, and their labels: those after the calibration's.

    Parameters
    ----------
    data : Dataset
    options : pipeline.config.Calibration
        ``samples`` and ``seed``.
    count : int
        Most images.

    Raises
    ------
    ConfigError
        If calibration takes all training images.
    """
    chosen = _order(data, options.seed)[options.samples : options.samples + count]
    if not len(chosen):
        raise ConfigError(
            f"quantization.calibration.samples: found {options.samples}, all training images; leave"
            " some to choose widths by"
        )
    return choose(data.x_train, chosen), data.y_train[chosen]


def _order(data: Dataset, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(len(data.x_train))
