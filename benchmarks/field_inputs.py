"""Inputs of the kinds on which models of other authors were trained, from installed packages.

Calibration and test take different pictures, faces, digits, voices and machines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pipeline.errors import DataError

RATE, WINDOW, STEP = 16000, 512, 320
"""Samples per second, in a spectrum, and from one spectrum to the next."""
COUNT = 64
"""Inputs to calibrate on, and to test on."""
FLOOR = 1e-6


@dataclass(frozen=True)
class Inputs:
    """Inputs of one kind.

    Attributes
    ----------
    kind : str
        What they are, for the table.
    draw : function of (shape, test) to float32 array
        Returns `COUNT` inputs of a shape, from the sources for calibration or for the test.
    """

    kind: str
    draw: Callable[[tuple[int, ...], bool], np.ndarray]


def pictures(shape, test) -> np.ndarray:
    """Return crops of photographs, 0 to 255."""
    rng = np.random.default_rng(test)
    photos = _photographs(test)
    crops = []
    for number in range(COUNT):
        photo = photos[number % len(photos)]
        side = int(rng.integers(min(photo.shape[:2]) // 4, min(photo.shape[:2])))
        top, left = (int(rng.integers(0, n - side + 1)) for n in photo.shape[:2])
        crops.append(_resized(photo[top : top + side, left : left + side], shape))
    return np.stack(crops)


def _photographs(test):
    """Return photographs, (height, width, 3): for calibration, or others for the test."""
    from sklearn.datasets import load_sample_images

    china, flower = load_sample_images().images
    try:
        from skimage import data
    except ImportError:
        return [flower] if test else [china]
    if test:
        return [flower, data.astronaut(), data.coffee()]
    return [china, data.chelsea(), data.stereo_motorcycle()[0]]


def faces(shape, test) -> np.ndarray:
    """Return grey faces of Labeled Faces in the Wild, 0 to 255.

    Raises
    ------
    DataError
        Without scikit-image, whose package contains 100 of them.
    """
    try:
        from skimage.data import lfw_subset
    except ImportError as error:
        raise DataError("faces: found no scikit-image; install the package scikit-image") from error
    found = lfw_subset()[:100] * 255
    chosen = found[50:] if test else found[:50]
    return np.stack([_resized(face, shape) for face in chosen])


def digits(shape, test) -> np.ndarray:
    """Return handwritten digits, 0 to 255."""
    from sklearn.datasets import load_digits

    found = load_digits().images * (255 / 16)
    chosen = found[-COUNT:] if test else found[:COUNT]
    return np.stack([_resized(digit, shape) for digit in chosen])


def speech(shape, test) -> np.ndarray:
    """Return log spectra of synthetic vowels: (steps, ..., bands), about 0 to 1."""
    return _spectra(shape[0], shape[-1], test, _voice)


def machines(shape, test) -> np.ndarray:
    """Return log spectra of synthetic machines in decibels, five steps of 128 bands in a row."""
    return (_spectra(5, shape[0] // 5, test, _machine) - 1) * 60


def _spectra(steps, bands, test, sound):
    rng, found = np.random.default_rng(10 + test), []
    length = WINDOW + (steps - 1) * STEP
    for _ in range(COUNT):
        wave = sound(rng, np.arange(length) / RATE)
        wave = wave / np.abs(wave).max() + rng.normal(0, 0.01, length)
        frames = np.lib.stride_tricks.sliding_window_view(wave, WINDOW)[::STEP]
        power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW))) ** 2 / WINDOW
        parts = np.array_split(power, bands, axis=1)
        level = np.log10(np.stack([part.mean(1) for part in parts], 1) + FLOOR)
        found.append(1 + level / -np.log10(FLOOR))
    return np.stack(found)


def _voice(rng, time):
    """Return a vowel that glides into another: pulses through three moving resonances."""
    pitch = rng.uniform(90, 250) * (1 + 0.1 * np.sin(2 * np.pi * rng.uniform(1, 4) * time))
    phase, share = np.cumsum(pitch) / RATE, time / time[-1]
    wave = np.zeros_like(time)
    for low, high in ((300, 900), (900, 2400), (2200, 3200)):
        start, stop = rng.uniform(low, high, 2)
        formant = start + (stop - start) * share
        for harmonic in range(1, 40):
            distance = (harmonic * pitch - formant) / 120
            wave += np.sin(2 * np.pi * harmonic * phase) / (1 + distance**2)
    return wave * np.sin(np.pi * share) ** 0.5


def _machine(rng, time):
    """Return harmonics of a rotation, and noise."""
    turns = rng.uniform(25, 60)
    tones = (rng.uniform(0.1, 1) / n * np.sin(2 * np.pi * n * turns * time) for n in range(1, 60))
    return sum(tones) + rng.normal(0, 0.3, time.size)


def _resized(picture, shape):
    """Return a picture of another size, grey where `shape` has one channel."""
    image = Image.fromarray(np.clip(np.rint(picture), 0, 255).astype(np.uint8))
    image = image.convert("L" if shape[-1] == 1 else "RGB")
    return np.asarray(image.resize((shape[1], shape[0])), np.float32).reshape(shape)
