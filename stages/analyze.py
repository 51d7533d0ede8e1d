"""Stage ``analyze``: measure what quantization costs in each layer, and write one page."""

from __future__ import annotations

import logging

import numpy as np

from pipeline.analysis.analysis import Analysis, analyse
from pipeline.analysis.page import empty_page, page, side
from pipeline.analysis.table import decibels
from pipeline.config import load
from pipeline.data import load_data
from pipeline.errors import IncompatibleModelError
from pipeline.files import (
    ANALYSIS,
    PROGRAM,
    QUANTIZED,
    TRANSFORMED,
    metrics_path,
    write_json,
    write_text,
)
from pipeline.graph.archive import load_graph
from pipeline.messages.lines import wrapped
from pipeline.quantization.archive import load_quantized
from pipeline.stage import WIDTH, run
from simulator import Program

OFF = "switched off by analyze.images=0"


def main() -> None:
    """Analyse the quantized model on some test images; write the page and its metrics."""
    config = load()
    graph, quantized = load_graph(TRANSFORMED), load_quantized(QUANTIZED)
    data = load_data(config.data)
    images = np.asarray(data.x_test[: config.analyze.images])
    labels = None if data.is_regression else data.y_test[: len(images)]
    labels = None if labels is None or np.ndim(labels) > 1 else labels
    try:
        found = analyse(graph, quantized, images, labels) if len(images) else None
        reason = OFF
    except IncompatibleModelError as error:
        found, reason = None, str(error)
    if found is None:
        logging.info("not analysed: %s", reason)
        write_text(ANALYSIS, empty_page(graph.name, reason))
        write_json(metrics_path("analyze"), {"images": 0})
        return
    program = Program.load(PROGRAM)
    write_text(ANALYSIS, page(side(found, program)))
    write_json(metrics_path("analyze"), _metrics(found))
    worst = found.worst_first[0]
    logging.info("output to noise %s dB on %d images", decibels(found.decibels), found.images)
    logging.info("%s", wrapped(f"worst layer {worst.name}: {worst.finding}", "", WIDTH))


def _metrics(found: Analysis) -> dict:
    worst = found.worst_first[0]
    return {
        "images": found.images,
        "decibels": found.decibels,
        "worst_layer": worst.name,
        "worst_layer_decibels": worst.isolated.decibels,
        "layers_below_20_decibels": sum(layer.isolated.decibels < 20 for layer in found.layers),
    }


if __name__ == "__main__":
    run("analyze", main)
