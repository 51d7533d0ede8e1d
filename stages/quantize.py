"""Stage ``quantize``: quantize a float graph, calibrated on images."""

from __future__ import annotations

import logging

from pipeline.config import load
from pipeline.data import calibration_samples, load_data
from pipeline.files import QUANTIZED, TRANSFORMED, metrics_path, write_json
from pipeline.graph.archive import load_graph
from pipeline.quantization.archive import save_quantized
from pipeline.quantization.quantize import quantize
from pipeline.stage import log_notes, run


def main() -> None:
    """Calibrate and quantize the transformed graph; write it and its metrics."""
    config = load()
    graph = load_graph(TRANSFORMED)
    options = config.quantization.calibration
    samples = calibration_samples(load_data(config.data), options)
    count = options.samples if samples is None else len(samples)
    if count < options.samples:
        logging.info(
            "calibrating on all %d training images; quantization.calibration.samples is %d",
            count,
            options.samples,
        )
    quantized = quantize(graph, samples, config.quantization)
    log_notes(quantized.notes)
    metrics = {
        "calibration_images": count,
        "nodes": len(quantized.nodes),
        "notes": [note.as_dict() for note in quantized.notes],
    }
    save_quantized(QUANTIZED, quantized)
    write_json(metrics_path("quantize"), metrics)


if __name__ == "__main__":
    run("quantize", main)
