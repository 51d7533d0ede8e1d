"""Stage ``evaluate``: compare the program with the float model on the test images."""

from __future__ import annotations

import logging
import time

import numpy as np

from pipeline.config import load
from pipeline.data import load_data
from pipeline.evaluation.confusion import draw_confusion, draw_scatter
from pipeline.evaluation.evaluate import evaluate
from pipeline.files import (
    CONFUSION,
    GRAPH,
    LAYERS,
    PREDICTIONS,
    PROGRAM,
    SCORES,
    metrics_path,
    write_bytes,
    write_csv,
    write_json,
)
from pipeline.graph.archive import load_graph
from pipeline.progress import Counter
from pipeline.stage import log_notes, run
from simulator import Program

ACCURACY = (
    "accuracy: float %(float_accuracy).4f, emulator %(accuracy).4f; agreement %(agreement).4f"
)
MEAN_ERROR = (
    "mean absolute error: float %(float_mean_absolute_error).4g, emulator"
    " %(mean_absolute_error).4g; mean difference of the two %(mean_difference).4g"
)


MANY = 2000
"""Number of images from which progress is logged."""


QUALITY = ("accuracy", "float_accuracy", "mean_absolute_error", "float_mean_absolute_error")
COST = ("weight_bytes", "effective_macs")


class ProgressLog:
    """Callback that reports images, and logs those of many after each tenth with their rate."""

    def __init__(self, total: int):
        self.total, self.done, self.start = total, 0, time.monotonic()
        self.report = Counter("evaluate", "image")

    def __call__(self, count: int) -> None:
        """Add `count` processed images."""
        before = 10 * self.done // self.total
        self.done += count
        self.report(self.done, self.total)
        if self.total >= MANY and 10 * self.done // self.total > before:
            rate = self.done / max(time.monotonic() - self.start, 1e-9)
            logging.info("%d of %d images, %.0f images/s", self.done, self.total, rate)


def scores(metrics, program: Program) -> dict[str, float]:
    """Return the figures by which experiments are compared; DVC shows a column for each."""
    found = {name: metrics[name] for name in (*QUALITY, *COST) if name in metrics}
    return found | {"exceeded_limits": len(list(program.exceeded()))}


def main() -> None:
    """Simulate the program and the float model; write predictions, figures and metrics."""
    config = load()
    data = load_data(config.data)
    total = config.evaluate.samples or len(data.x_test)
    program, graph = Program.load(PROGRAM), load_graph(GRAPH)
    result = evaluate(program, graph, data, config.evaluate, ProgressLog(total))
    if data.is_regression:
        names = list(result.pairs())
        picture = draw_scatter(*np.transpose(names))
    else:
        picture = draw_confusion(result.labels, result.predictions, data.classes)
        names = [[data.class_name(label) for label in labels] for labels in result.pairs()]
    write_csv(PREDICTIONS, ("actual", "predicted"), names)
    write_csv(LAYERS, result.layers[0], [layer.values() for layer in result.layers])
    write_bytes(CONFUSION, picture)
    notes = [note.as_dict() for note in result.notes]
    write_json(metrics_path("evaluate"), {**result.metrics, "notes": notes})
    write_json(SCORES, scores(result.metrics, program))
    log_notes(result.notes)
    logging.info(MEAN_ERROR if data.is_regression else ACCURACY, result.metrics)


if __name__ == "__main__":
    run("evaluate", main)
