"""Compare a program with its float model on labelled images, and count its cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.accuracy import mean_absolute_error
from pipeline.data import Dataset, choose
from pipeline.data.labels import check_labels
from pipeline.errors import ConfigError
from pipeline.evaluation.energy import energy_proxy
from pipeline.evaluation.shards import Work, run_shards
from pipeline.graph.graph import Graph
from pipeline.graph.image_scale import input_notes
from pipeline.messages.notes import Note
from pipeline.messages.saturation import counted, largest_share, saturation_notes
from simulator import Program
from simulator.image_scale import expected_range

POINTS = 10_000
"""Number of points of maps that are listed."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluation:
    """Results of a program on the test images.

    Attributes
    ----------
    metrics : dict
        Figures of the whole program.
    layers : list of dict
        Figures of each layer, with equal keys.
    notes : tuple of Note
        On the scale of the images, and on what saturated.
    labels, predictions : array of shape (images,)
        int64 classes, or float numbers for a regression; (images, ...) where those are maps.
    """

    metrics: dict
    layers: list[dict]
    notes: tuple[Note, ...]
    labels: np.ndarray
    predictions: np.ndarray

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Yield label and prediction of each image; for maps, of evenly spread points."""
        labels, predictions = self.labels.ravel(), self.predictions.ravel()
        step = -(-labels.size // POINTS) if self.labels.ndim > 1 else 1
        return zip(labels[::step].tolist(), predictions[::step].tolist(), strict=True)


def evaluate(
    program: Program,
    graph: Graph,
    data: Dataset,
    options,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Run `program` on the test images.

    Parameters
    ----------
    program : Program
    graph : Graph
        The float model as trained, before any transform.
    data : Dataset
    options : pipeline.config.Evaluate
        ``samples``, ``batch_size``, ``workers`` and ``engine``; the last two do not change results.
    progress : function (count), optional
        Called with the number of images of each completed chunk.

    Raises
    ------
    ConfigError
        If there are fewer test images than requested, or workers cannot share them.
    DataError
        If the labels are not classes of the program.
    """
    count = options.samples or len(data.x_test)
    if count > len(data.x_test):
        raise ConfigError(
            f"evaluate.samples: found {count}; {data.name} has {len(data.x_test)} test images"
        )
    images, labels = choose(data.x_test, slice(count)), data.y_test[:count]
    if not data.is_regression:
        outputs = int(np.prod(program.output_shape))
        check_labels(labels, name=f"{data.name}: y_test", images=count, outputs=outputs)
    work = Work(
        program=program,
        graph=graph,
        batch_size=options.batch_size,
        classes=not data.is_regression,
        backend=options.backend,
    )
    outcome = run_shards(
        work, images, workers=options.workers, engine=options.engine, progress=progress
    )
    compare = _numbers if data.is_regression else _classes
    predictions, metrics = compare(outcome.program, outcome.graph, labels)
    statistics = outcome.statistics
    saturated = counted(statistics)
    layers = [_row(layer, saturated) for layer in statistics.layers()]
    macs = sum(layer["macs"] for layer in layers)
    effective = sum(layer["effective_macs"] for layer in layers)
    metrics |= {
        "images": count,
        "weight_bytes": sum(layer["weight_bytes"] for layer in layers),
        "macs": macs,
        "effective_macs": effective,
        "energy_proxy": energy_proxy(program, {e["layer"]: e["effective_macs"] for e in layers}),
        "sparsity": 1 - effective / macs if macs else 0.0,
        "saturated": sum(layer["saturated"] for layer in layers),
        "saturated_share": largest_share(saturated),
    }
    notes = (
        *input_notes(images, expected_range(program), f"test images of {data.name}"),
        *saturation_notes(saturated, f"{count:,} test images"),
    )
    return Evaluation(
        metrics=metrics, layers=layers, notes=notes, labels=labels, predictions=predictions
    )


def _classes(predictions, expected, labels):
    return predictions, {
        "float_accuracy": float(np.mean(expected == labels)),
        "accuracy": float(np.mean(predictions == labels)),
        "agreement": float(np.mean(predictions == expected)),
    }


def _numbers(outputs, expected, labels):
    metrics = {
        "float_mean_absolute_error": mean_absolute_error(expected, labels),
        "mean_absolute_error": mean_absolute_error(outputs.astype(np.float64), labels),
        "mean_difference": mean_absolute_error(expected, outputs.astype(np.float64)),
    }
    return outputs.reshape(labels.shape).astype(np.float64), metrics


def _row(layer, saturated) -> dict:
    return {
        "layer": layer.name,
        "type": layer.type,
        "output_sparsity": layer.output_sparsity,
        "macs": layer.macs,
        "effective_macs": layer.effective_macs,
        "weight_bytes": layer.weight_bytes,
        "output_min": layer.output_min,
        "output_max": layer.output_max,
        "saturated": sum(layer.saturated.values()),
        "saturated_share": largest_share([s for s in saturated if s.layer == layer.name]),
    }
