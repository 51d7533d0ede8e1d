"""Choose the noise level of the spoken digits without the voices of the test split.

    python -m benchmarks.kws_noise

A fifth of the training voices is held out; ``ds_cnn`` is trained on the others' clips at several
noise levels, and scored on the held-out voices. `pipeline.data.spoken_digits` uses the loudest
noise with at least 95 % accuracy: hard enough for quantization to have an effect, and chosen
without any clip of the test split.
"""

from __future__ import annotations

import functools
import logging

import numpy as np

from pipeline.accuracy import accuracy
from pipeline.config import Training
from pipeline.data.cache import cache_folder
from pipeline.data.speech import find_synthesizer
from pipeline.data.spoken_digits import LOUDEST_NOISE, SEEN, Job, make_jobs, speak_all
from pipeline.graph.architecture import build_graph
from pipeline.graph.architecture_file import read_architecture
from pipeline.stage import run
from pipeline.training.train import train

CLIPS = 2500
LEVELS = (0.0125, 0.025, 0.05)
WANTED = 0.95
SEEDS = (0, 1)
HELD_BACK = SEEN[::5]
TRAINING = Training(epochs=12, batch_size=50)


class Remembering:
    """Synthesizer that caches every clip."""

    def __init__(self, synthesizer):
        self.say = functools.cache(synthesizer.say)


def main() -> None:
    """Print the accuracies and the noise level that they select."""
    synthesizer = Remembering(find_synthesizer(cache_folder()))
    training, validation = split(make_jobs("train", CLIPS))
    logging.info("%d clips to train on, %d of voices held back", len(training), len(validation))
    scores = {}
    for level in LEVELS:
        images, tests = (
            speak_all(synthesizer, jobs, noise=level) for jobs in (training, validation)
        )
        found = [score(images, training, tests, validation, seed) for seed in SEEDS]
        scores[level] = float(np.mean(found))
        logging.info("noise up to %g: %s", level, ", ".join(f"{value:.4f}" for value in found))
    fit = [level for level, value in scores.items() if value >= WANTED]
    print(f"loudest noise with {WANTED} or more: {max(fit, default=None)}; set: {LOUDEST_NOISE}")


def split(jobs: list[Job]) -> tuple[list[Job], list[Job]]:
    """Return the clips of the training voices, and those of the held-out voices."""
    held = [job.voice.rpartition("+")[2] in HELD_BACK for job in jobs]
    return tuple(
        [job for job, back in zip(jobs, held, strict=True) if back == part]
        for part in (False, True)
    )


def score(images, jobs, test_images, test_jobs, seed: int) -> float:
    """Return the accuracy on the second clips of a model trained on the first ones."""
    graph = build_graph(read_architecture("ds_cnn", ["classes=10", "version=2.0"]), seed=seed)
    graph, _ = train(graph, images, labels(jobs), options=TRAINING, seed=seed)
    return accuracy(graph, test_images, labels(test_jobs))


def labels(jobs: list[Job]) -> np.ndarray:
    """Return the word of each clip, int64."""
    return np.array([job.word for job in jobs], np.int64)


if __name__ == "__main__":
    run("kws_noise", main)
