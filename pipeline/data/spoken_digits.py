"""Synthetic speech: the ten digits said by eSpeak NG, as cepstral coefficients of 49x10.

These are not recordings, which no package registry carries: good for trying keyword spotting, not
for judging a product. The voices of the test split are not in the training split.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from pipeline.data.cache import cache_folder, cached, recorded
from pipeline.data.cepstra import cepstra, to_image
from pipeline.data.dataset import Dataset
from pipeline.data.speech import Synthesizer, find_synthesizer
from pipeline.errors import DataError

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-029")
VOICES = (
    *("Alex", "Alicia", "Andrea", "Andy", "Annie", "Denis", "Diogo", "Gene", "Gene2", "Henrique"),
    *("Hugo", "Jacky", "Lee", "Marco", "Mario", "Michael", "Mike", "adam", "anika", "announcer"),
    *("antonio", "aunty", "belinda", "benjamin", "boris", "caleb", "david", "ed", "edward"),
    *("edward2", "f1", "f2", "f3", "f4", "f5", "grandma", "grandpa", "gustave", "iven", "iven2"),
    *("iven3", "iven4", "john", "linda", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8"),
    *("marcelo", "max", "michel", "miguel", "norbert", "pablo", "paul", "pedro", "quincy", "rob"),
    *("robert", "sandro", "shelby", "steph", "steph2", "steph3", "travis", "victor", "zac"),
)
"""The natural ones of eSpeak NG 1.51; whispering and robots are left out."""
UNSEEN = VOICES[::5]
SEEN = tuple(voice for voice in VOICES if voice not in UNSEEN)
TRAIN, TEST = 8000, 2000
RECIPE = 3
"""Raise it with every change of the clips that a job gives."""
SEED = 20
REPORT_EVERY = 500
"""Clips between two progress messages."""
LATEST_ONSET_S, QUIETEST = 0.2, 0.2
LOUDEST_NOISE = 0.025
"""Chosen on training voices held out from training: `benchmarks.kws_noise`."""


@dataclass(frozen=True)
class Job:
    """One clip: what is said, by whom, how, and the seed of its onset, loudness and noise."""

    word: int
    voice: str
    speed: int
    pitch: int
    seed: int


@dataclass(frozen=True)
class Clips:
    """The clips of a split, and their file in the cache."""

    path: Path
    jobs: list[Job]

    def spoken_by(self) -> str | None:
        """Return the version of the synthesizer that spoke the file; None without such a file."""
        record = recorded(self.path)
        version = record.get("version")
        return version if version and record.get("recipe") == self.recipe(version) else None

    def recipe(self, version: str) -> str:
        """Return a hash of everything that determines the clips."""
        text = json.dumps([RECIPE, version, [astuple(job) for job in self.jobs]])
        return hashlib.sha256(text.encode()).hexdigest()

    def images(self, version: str, synthesizer: Synthesizer | None) -> np.ndarray:
        """Return the clips in the file, or speak them, where a synthesizer is needed."""

        def make():
            return {"images": speak_all(synthesizer, self.jobs)}

        return cached(self.path, self.recipe(version), make, version=version)["images"]


def load(options, *, cache: Path | None = None) -> Dataset:
    """Return up to 8,000 training and 2,000 test clips of shape (49, 10, 1), digits balanced.

    Only as many as ``data.train_samples`` and ``data.test_samples`` ask for are spoken, some 30
    to 60 per second, and kept in the user's cache.
    """
    cache = cache_folder() if cache is None else Path(cache)
    wanted = {
        "train": _count("train_samples", options.train_samples, TRAIN),
        "test": _count("test_samples", options.test_samples, TEST),
    }
    parts = {
        split: Clips(cache / "spoken_digits" / f"{split}-{count}.npz", make_jobs(split, count))
        for split, count in wanted.items()
    }
    version, synthesizer = _version(parts.values()), None
    if version is None:
        synthesizer = find_synthesizer(cache)
        version = synthesizer.version
    arrays = {}
    for split, clips in parts.items():
        arrays[f"x_{split}"] = clips.images(version, synthesizer)
        arrays[f"y_{split}"] = np.array([job.word for job in clips.jobs], np.int64)
    return Dataset(
        name="spoken_digits",
        source=f"synthetic speech of eSpeak NG {version}; unseen voices in the test",
        licence="made on this machine; the synthesizer is GPL-3.0-or-later",
        classes=WORDS,
        **arrays,
    )


def _version(parts: Iterable[Clips]) -> str | None:
    """Return the version that spoke all clips in the cache; None where some must be spoken.

    Clips in the cache are used without a synthesizer, so that neither a machine without a working
    one, nor a newer one, changes the data.
    """
    versions = {clips.spoken_by() for clips in parts}
    return versions.pop() if len(versions) == 1 else None


def make_jobs(split: str, count: int) -> list[Job]:
    """Return the first `count` clips of a split, the same ones every time."""
    rng = np.random.default_rng([SEED, split == "test"])
    voices = UNSEEN if split == "test" else SEEN
    jobs = []
    for number in range(count):
        accent, voice = ACCENTS[rng.integers(len(ACCENTS))], voices[rng.integers(len(voices))]
        speed, pitch = int(rng.integers(120, 201)), int(rng.integers(30, 71))
        seed = int(rng.integers(2**31))
        jobs.append(Job(number % len(WORDS), f"{accent}+{voice}", speed, pitch, seed))
    return jobs


def speak_all(
    synthesizer: Synthesizer, jobs: list[Job], *, noise: float = LOUDEST_NOISE
) -> np.ndarray:
    """Return the clips as a uint8 array of shape (jobs, 49, 10, 1)."""
    images = []
    with ThreadPoolExecutor(max_workers=2) as pool:
        for image in pool.map(lambda job: to_image(speak(synthesizer, job, noise)), jobs):
            images.append(image)
            if len(images) % REPORT_EVERY == 0:
                logging.info("spoken_digits: %d of %d clips spoken", len(images), len(jobs))
    return np.stack(images)


def speak(synthesizer: Synthesizer, job: Job, noise: float = LOUDEST_NOISE) -> np.ndarray:
    """Return the cepstral coefficients of one clip, float64 of shape (49, 10).

    Parameters
    ----------
    synthesizer : Synthesizer
    job : Job
    noise : float
        Standard deviation of the loudest white noise, in units of full scale.
    """
    word = WORDS[job.word]
    sound, rate = synthesizer.say(word, voice=job.voice, speed=job.speed, pitch=job.pitch)
    rng = np.random.default_rng(job.seed)
    onset = int(rng.uniform(0, LATEST_ONSET_S) * rate)
    loud = np.concatenate([np.zeros(onset), sound]) * rng.uniform(QUIETEST, 1)
    clip = np.zeros(max(len(loud), rate))
    clip[: len(loud)] = loud
    clip += rng.standard_normal(len(clip)) * rng.uniform(0, noise)
    return cepstra(clip, rate)


def _count(name, wanted, available):
    wanted = available if wanted is None else wanted
    if wanted > available:
        raise DataError(f"spoken_digits: data.{name}: found {wanted}; there are {available} clips")
    return wanted
