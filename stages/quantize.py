"""Stage ``quantize``: quantize a float graph, calibrated on images, and train its registers."""

from __future__ import annotations

import logging

from pipeline.chips.planned_widths import check_planned_widths
from pipeline.config import load
from pipeline.data import calibration_samples, load_data, training_samples
from pipeline.files import QUANTIZED, REGISTER_CURVE, TRANSFORMED, metrics_path, write_json
from pipeline.graph.archive import load_graph
from pipeline.progress import Counter
from pipeline.quantization.archive import save_quantized
from pipeline.quantization.quantize import quantize
from pipeline.stage import EpochLog, log_notes, run
from pipeline.training.curve import write_curve
from pipeline.training.registers.train import NOT_TRAINED, train_registers


def main() -> None:
    """Calibrate and quantize the transformed graph; write it and its metrics."""
    config = load()
    graph, data = load_graph(TRANSFORMED), load_data(config.data)
    # The chip decides nothing here: where only it changes, the result is taken from the cache.
    chip = config.target
    check_planned_widths(graph, config.quantization, chip.name, strict=chip.strict)
    options = config.quantization.calibration
    samples = calibration_samples(data, options)
    count = options.samples if samples is None else len(samples)
    if count < options.samples:
        logging.info(
            "calibrating on all %d training images; quantization.calibration.samples is %d",
            count,
            options.samples,
        )
    quantized = quantize(graph, samples, config.quantization, Counter("quantize", "step"))
    history = NOT_TRAINED
    if config.quantization.train != "none":
        images, labels = training_samples(data, config.quantization)
        quantized, history = train_registers(
            graph, quantized, images, labels, config.quantization, epoch_done=EpochLog("quantize")
        )
    log_notes(quantized.notes)
    metrics = {
        "calibration_images": count,
        "nodes": len(quantized.nodes),
        "notes": [note.as_dict() for note in quantized.notes],
    }
    save_quantized(QUANTIZED, quantized)
    write_curve(REGISTER_CURVE, history)
    write_json(metrics_path("quantize"), metrics)


if __name__ == "__main__":
    run("quantize", main)
