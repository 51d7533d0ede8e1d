"""Mel-frequency cepstral coefficients of one second of speech, as an image for keyword spotting.

The parameters are those of the keyword-spotting networks for microcontrollers (Zhang et al.,
"Hello Edge", 2017): frames of 40 ms every 20 ms, 40 mel bands, 10 coefficients.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

FRAMES, COEFFICIENTS = 49, 10
WINDOW_S, STEP_S = 0.04, 0.02
BANDS, LOW_HZ, HIGH_HZ = 40, 20.0, 4000.0
FLOOR = 1e-6
"""Power below which a band is silent: 60 dB under full scale."""
# Range of each coefficient over the training voices of the spoken digits, 0.5 to 99.5 %.
LOWEST = np.array([-88, -6, -6, -10, -9, -8, -6, -6, -5, -6.0])
HIGHEST = np.array([-18, 15, 11, 6, 5, 5, 5, 4, 4, 3.0])


def cepstra(sound: np.ndarray, rate: int) -> np.ndarray:
    """Return the cepstral coefficients of a sound.

    Parameters
    ----------
    sound : float array of shape (samples,)
        In -1 to 1; the first second is used; shorter sounds are padded with silence.
    rate : int
        Samples per second.

    Returns
    -------
    float64 array of shape (49, 10)
    """
    window, step = int(WINDOW_S * rate), int(STEP_S * rate)
    needed = window + (FRAMES - 1) * step
    padded = np.zeros(needed)
    padded[: min(len(sound), needed)] = sound[:needed]
    starts = step * np.arange(FRAMES)[:, None]
    frames = padded[starts + np.arange(window)] * np.hanning(window)
    size = 1 << (window - 1).bit_length()
    power = np.abs(np.fft.rfft(frames, size)) ** 2 / window
    energies = np.log(np.maximum(power @ _bands(rate, size), FLOOR))
    return energies @ _cosines()


def to_image(coefficients: np.ndarray) -> np.ndarray:
    """Return coefficients as a uint8 array of shape (49, 10, 1), one fixed scale for each."""
    scaled = (coefficients - LOWEST) / (HIGHEST - LOWEST) * 255
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)[..., np.newaxis]


@lru_cache
def _bands(rate, size):
    """Return the weights of each frequency in each mel band, shape (size // 2 + 1, 40)."""

    def mel(hertz):
        return 1127 * np.log1p(hertz / 700)

    edges = np.linspace(mel(LOW_HZ), mel(HIGH_HZ), BANDS + 2)
    found = mel(np.arange(size // 2 + 1) * rate / size)[:, None]
    rising = (found - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - found) / (edges[2:] - edges[1:-1])
    return np.maximum(np.minimum(rising, falling), 0)


@lru_cache
def _cosines():
    """Return the first ten vectors of the orthonormal cosine transform, shape (40, 10)."""
    band, order = np.arange(BANDS)[:, None] + 0.5, np.arange(COEFFICIENTS)
    basis = np.cos(np.pi * band * order / BANDS) * np.sqrt(2 / BANDS)
    basis[:, 0] /= np.sqrt(2)
    return basis
