"""Inputs for other people's models: crops of photographs, and frames of machine sounds.

    python -m benchmarks.refinement_inputs photographs --size 32 --images 300 -o build/photographs
    python -m benchmarks.refinement_inputs machines --images 1000 -o build/machines

Each writes calibration.npy and test.npy, of different pictures or machines, for
``python -m benchmarks.closeness``. The photographs ship with scikit-learn and with
scikit-image, which is not among this project's packages: ``pip install scikit-image``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.stage import run

CALIBRATION = ("astronaut.png", "coffee.png", "rocket.jpg", "motorcycle_left.png", "ihc.png")
TEST = ("chelsea.png", "retina.jpg")
"""Files of scikit-image; scikit-learn adds a picture to each."""
RATE, WINDOW, HOP, BANDS, FRAMES = 16000, 1024, 512, 128, 5
"""Hertz, samples, samples, mel bands, and spectra in one frame of the anomaly autoencoder."""
MACHINES, OTHERS = range(10), range(100, 106)


def photographs(images: int, size: int, tests: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Return crops to calibrate on and crops of other pictures: float32, values 0 to 255."""
    import skimage
    from PIL import Image
    from sklearn.datasets import load_sample_images

    folder = Path(skimage.__file__).parent / "data"

    def picture(name):
        return np.asarray(Image.open(folder / name).convert("RGB"))

    china, flower = load_sample_images().images
    known = [*map(picture, CALIBRATION), china]
    other = [picture(TEST[0]), flower, picture(TEST[1])[::2, ::2]]
    return crops(known, images, size, seed=1), crops(other, tests, size, seed=2)


def crops(pictures: Sequence[np.ndarray], count: int, size: int, seed: int) -> np.ndarray:
    """Return square crops of random places and sizes, scaled to `size`, picture by picture."""
    from PIL import Image

    rng, made = np.random.default_rng(seed), []
    for picture in pictures:
        height, width = picture.shape[:2]
        for _ in range(count // len(pictures)):
            side = int(rng.integers(min(size, height, width), min(height, width) + 1))
            top, left = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
            crop = Image.fromarray(picture[top : top + side, left : left + side])
            crop = np.asarray(crop.resize((size, size), Image.BILINEAR), np.float32)
            made.append(crop[:, ::-1] if rng.random() < 0.5 else crop)
    return np.stack(made)


def machines(images: int, tests: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Return log-mel frames of synthetic machines, and of others: float32 (n, 640)."""
    parts = [
        np.concatenate([machine(seed, count // len(seeds)) for seed in seeds])
        for seeds, count in ((MACHINES, images), (OTHERS, tests))
    ]
    return parts[0], parts[1]


def machine(seed: int, frames: int) -> np.ndarray:
    """Return frames of one machine: harmonics that waver, amid coloured noise."""
    rng, count = np.random.default_rng(seed), HOP * (frames + 8) + WINDOW
    time, tone = np.arange(count) / RATE, rng.uniform(60, 400)
    sound = np.zeros(count)
    for harmonic in range(1, 12):
        loud = rng.uniform(0, 1) / harmonic
        waver = 1 + 0.002 * np.sin(2 * np.pi * rng.uniform(0.3, 3) * time)
        sound += loud * np.sin(2 * np.pi * tone * harmonic * time * waver + rng.uniform(0, 6))
    noise, colour = rng.normal(size=count), rng.uniform(0.3, 0.98)
    noise = np.convolve(noise, colour ** np.arange(60), "same")
    sound *= 1 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.5, 4) * time)
    sound = 0.05 * sound + 0.02 * noise
    starts = range(0, (frames + FRAMES) * HOP, HOP)
    power = [
        np.abs(np.fft.rfft(sound[start : start + WINDOW] * np.hanning(WINDOW))) ** 2
        for start in starts
    ]
    levels = 10 * np.log10(np.stack(power) @ _mel().T + 1e-12)
    return np.stack([levels[n : n + FRAMES].reshape(-1) for n in range(frames)]).astype(np.float32)


def _mel() -> np.ndarray:
    """Return the filters of the mel bands, of shape (bands, bins)."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    points = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1)
    bins = np.linspace(0, RATE / 2, WINDOW // 2 + 1)
    rising = (bins - points[:-2, None]) / (points[1:-1] - points[:-2])[:, None]
    falling = (points[2:, None] - bins) / (points[2:] - points[1:-1])[:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return triangles * (2 / (points[2:] - points[:-2]))[:, None]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kind", choices=("photographs", "machines"))
    parser.add_argument("--images", type=int, default=300, help="calibration images")
    parser.add_argument("--size", type=int, default=96, help="height and width of a crop")
    parser.add_argument("--scale", type=float, default=1.0, help="factor of the pixels")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write")
    options = parser.parse_args(arguments)
    if options.kind == "photographs":
        made = [images * options.scale for images in photographs(options.images, options.size)]
    else:
        made = machines(options.images)
    options.output.mkdir(parents=True, exist_ok=True)
    for name, images in zip(("calibration", "test"), made, strict=True):
        np.save(options.output / f"{name}.npy", np.asarray(images, np.float32))


if __name__ == "__main__":
    run("refinement inputs", main)
