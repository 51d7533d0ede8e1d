"""Random but realistic weights, calibration samples and test images."""

from __future__ import annotations

import numpy as np

CALIBRATION_SAMPLES, TEST_IMAGES = 16, 6


def _pick(rng, options):
    return options[int(rng.integers(len(options)))]


def randomize(model, rng) -> set[str]:
    """Give every variable realistic values, dead and negative-only channels among them.

    Returns
    -------
    set of str
        What was put in.
    """
    traits = set()
    for layer in model.layers:
        values = []
        for variable in layer.weights:
            name, shape = variable.name.rsplit("/", 1)[-1].split(":")[0], variable.shape
            if name == "gamma":
                values.append(rng.uniform(0.4, 1.8, shape))
            elif name == "moving_variance":
                values.append(rng.lognormal(0.0, 0.7, shape))
            elif name == "bias" or name in ("beta", "moving_mean"):
                value = rng.normal(0, 0.4, shape)
                if name != "moving_mean" and rng.random() < 0.3:
                    value[rng.integers(len(value))] = _pick(rng, (0.0, -30.0, 0.5, 2.0))
                    traits.add("negative-only or constant channels")
                values.append(value)
            else:
                value = rng.normal(0, 1, shape) * np.sqrt(2.0 / max(np.prod(shape[:-1]), 1))
                if rng.random() < 0.5:
                    value = value * rng.lognormal(0.0, 0.8, shape[-1])
                    traits.add("unequal channels")
                if rng.random() < 0.15 and shape[-1] > 1:
                    value[..., rng.integers(shape[-1])] = 0
                    traits.add("dead channels")
                values.append(value)
        layer.set_weights(values)
    return traits


def random_images(shape, kind, rng) -> tuple[np.ndarray, np.ndarray]:
    """Return calibration samples and test images, extremes included."""
    count = CALIBRATION_SAMPLES
    flat = rng.random((count + TEST_IMAGES, *shape))
    if len(shape) == 3:
        # Smooth images: neighbouring pixels and frames resemble each other.
        for axis in (0, 1, 2):
            flat = (flat + np.roll(flat, 1, axis) + np.roll(flat, 2, axis)) / 3
        flat = np.clip((flat - 0.5) * 3 + 0.5, 0, 1)
    if kind == "float_unsigned":
        low, high = _pick(rng, ((0.0, 1.0), (-1.0, 1.0), (-1.0, 1.6), (0.0, 255.0)))
        values = (low + (high - low) * flat).astype(np.float32)
    elif kind == "float_signed":
        values = ((flat - 0.5) * _pick(rng, (2.0, 1.0, 7.3))).astype(np.float32)
    elif kind == "int8":
        values = np.rint(flat * 255 - 128).astype(np.int8)
    else:
        values = np.rint(flat * 255).astype(np.uint8)
    images = values[count:].copy()
    if values.dtype.kind == "f":
        noise = rng.uniform(values.min() * 1.3 - 0.1, values.max() * 1.3, (2, *shape))
        images[-2:] = noise.astype(np.float32)
    else:
        limits = np.iinfo(values.dtype)
        images[-2] = rng.integers(limits.min, limits.max + 1, shape)
        images[-1] = limits.max
    return values[:count], images
