"""Compare a program with its float model on labelled images, and count what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.accuracy import classify, mean_absolute_error
from pipeline.data.dataset import Dataset
from pipeline.errors import ConfigError, ModelError
from pipeline.graph.forward import forward
from pipeline.graph.graph import Graph
from simulator import Program, simulate
from simulator.statistics import Statistics


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluation:
    """What running a program on the test images has shown.

    Attributes
    ----------
    metrics : dict
        Figures of the whole program.
    layers : list of dict
        Figures of each layer, the same keys in each.
    labels, predictions : array of shape (images,)
        int64 classes, or float numbers for a regression.
    """

    metrics: dict
    layers: list[dict]
    labels: np.ndarray
    predictions: np.ndarray

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Yield label and prediction of each image."""
        return zip(self.labels.tolist(), self.predictions.tolist(), strict=True)


def evaluate(program: Program, graph: Graph, data: Dataset, options) -> Evaluation:
    """Run `program` on the test images.

    Parameters
    ----------
    program : Program
    graph : Graph
        The float model as trained, before any transform.
    data : Dataset
    options : pipeline.config.Evaluate
        ``samples`` and ``batch_size``.

    Raises
    ------
    ConfigError
        When there are fewer test images than asked for.
    """
    count = options.samples or len(data.x_test)
    if count > len(data.x_test):
        raise ConfigError(
            f"evaluate.samples: found {count}; {data.name} has {len(data.x_test)} test images"
        )
    images, labels = data.x_test[:count], data.y_test[:count]
    statistics = Statistics(program)
    outputs = simulate(
        program,
        images.astype(program.input_dtype, copy=False),
        batch_size=options.batch_size,
        probe=statistics.probe,
        tally=statistics.tally,
    )
    expected = forward(graph, images, batch_size=options.batch_size)
    compare = _numbers if data.is_regression else _classes
    predictions, metrics = compare(outputs, expected, labels)
    layers = [_row(layer) for layer in statistics.layers()]
    macs = sum(layer["macs"] for layer in layers)
    effective = sum(layer["effective_macs"] for layer in layers)
    metrics |= {
        "images": count,
        "weight_bytes": sum(layer["weight_bytes"] for layer in layers),
        "macs": macs,
        "effective_macs": effective,
        "sparsity": 1 - effective / macs if macs else 0.0,
        "saturated": sum(layer["saturated"] for layer in layers),
    }
    return Evaluation(metrics=metrics, layers=layers, labels=labels, predictions=predictions)


def _classes(outputs, expected, labels):
    predictions, expected = classify(outputs), classify(expected)
    return predictions, {
        "float_accuracy": float(np.mean(expected == labels)),
        "accuracy": float(np.mean(predictions == labels)),
        "agreement": float(np.mean(predictions == expected)),
    }


def _numbers(outputs, expected, labels):
    if outputs.size != len(labels):
        raise ModelError(
            f"the model gives {outputs[0].size} numbers for an image; the data has one number each"
        )
    predictions = outputs.reshape(len(outputs)).astype(np.float64)
    return predictions, {
        "float_mean_absolute_error": mean_absolute_error(expected, labels),
        "mean_absolute_error": mean_absolute_error(predictions, labels),
        "mean_difference": mean_absolute_error(expected, predictions),
    }


def _row(layer) -> dict:
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
    }
