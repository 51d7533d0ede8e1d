"""Stage ``build``: train a float graph from an architecture and images."""

from __future__ import annotations

import logging

from pipeline.accuracy import score
from pipeline.config import load
from pipeline.data import load_data
from pipeline.files import (
    ARCHITECTURE,
    GRAPH,
    TRAINING_CURVE,
    TRAINING_PICTURE,
    metrics_path,
    write_bytes,
    write_json,
    write_text,
)
from pipeline.graph.archive import save_graph
from pipeline.graph.describe import describe, non_trainable
from pipeline.graph.image_scale import expected_range, input_notes
from pipeline.models.pretrained import take_weights
from pipeline.models.source import source_graph
from pipeline.stage import EpochLog, log_notes, run
from pipeline.training.curve import draw_curve, write_curve
from pipeline.training.train import train


def main() -> None:
    """Build and train the model; write the graph, its curve and its metrics."""
    config = load()
    graph, notes = source_graph(config.model, seed=config.seed)
    log_notes(notes)
    if config.training.weights is not None:
        graph, fresh = take_weights(graph, config.training.weights)
        for line in fresh:
            logging.info(line)
    data = load_data(config.data)
    log_notes(input_notes(data.x_train, expected_range(graph), f"training images of {data.name}"))
    logging.info("%s: %s parameters", graph.name, f"{graph.parameters:,}")
    graph, history = train(
        graph,
        data.x_train,
        data.y_train,
        data.x_test,
        data.y_test,
        config.training,
        seed=config.seed,
        progress=EpochLog("build"),
    )
    metrics = {
        **score(graph, data.x_test, data.y_test),
        "parameters": graph.parameters,
        "trainable_parameters": graph.parameters - non_trainable(graph),
        "train_images": len(data.x_train),
        "test_images": len(data.x_test),
    }
    save_graph(GRAPH, graph)
    write_text(ARCHITECTURE, describe(graph))
    write_curve(TRAINING_CURVE, history)
    write_bytes(TRAINING_PICTURE, draw_curve(history))
    write_json(metrics_path("build"), metrics)
    name = next(iter(metrics))
    logging.info("float %s %.4f", name.replace("_", " "), metrics[name])


if __name__ == "__main__":
    run("build", main)
