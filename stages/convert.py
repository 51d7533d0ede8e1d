"""Stage ``convert``: convert a quantized graph to a program of the target chip."""

from __future__ import annotations

import logging
import shutil

from pipeline.chips import convert
from pipeline.chips.conversion import emulated_only
from pipeline.config import load
from pipeline.data import calibration_samples, load_data
from pipeline.exporters.formats import export
from pipeline.files import (
    EXPORTED,
    EXPORTS,
    PROGRAM,
    QUANTIZED,
    SUMMARY,
    file_sha256,
    metrics_path,
    write_json,
    write_text,
)
from pipeline.formats.table import EXPORTS as TABLE
from pipeline.messages.conversion import conversion_notes
from pipeline.quantization.archive import load_quantized
from pipeline.stage import log_notes, run
from simulator.refusal import refusal_lines
from simulator.summary import summary
from simulator.widths import widths_table


def main() -> None:
    """Lower the quantized graph to the target's layers; write program, exports and summary."""
    config = load()
    chip, quantized = config.target, load_quantized(QUANTIZED)
    program = convert(
        quantized,
        chip.name,
        strict=chip.strict,
        fit_registers=chip.fit_registers,
        samples=lambda: calibration_samples(
            load_data(config.data), config.quantization.calibration
        ),
        applied=config.transforms.names,
    )
    notes = conversion_notes(quantized.notes, program)
    log_notes(notes)
    for sentence in refusal_lines(emulated_only(quantized, program)):
        logging.warning(sentence)
    for remark in program.remarks():
        logging.info("%s (one reading of the vendor's page)", remark)
    table = f"{summary(program)}\n{widths_table(program)}"
    metrics = {
        "layers": len(program.layers),
        "weight_bytes": sum(layer.weight_bytes for layer in program.layers),
        "macs": sum(layer.macs for layer in program.layers),
        "exceeded_limits": len(list(program.exceeded())),
        "notes": [note.as_dict() for note in notes],
    }
    program.save(PROGRAM)
    write_json(EXPORTED, dict(_exports(quantized, program, config.export.formats)))
    write_text(SUMMARY, table)
    write_json(metrics_path("convert"), metrics)
    print(table)


def _exports(quantized, program, formats):
    """Write the quantized model in each format; yield its file and the file's hash."""
    if EXPORTS.exists():
        shutil.rmtree(EXPORTS)
    for name in formats:
        path = EXPORTS / f"{name}{TABLE[name].suffix}"
        log_notes(export(path, quantized, name, program))
        found = {"file": path.name, "sha256": file_sha256(path), "bytes": path.stat().st_size}
        logging.info("%s: SHA-256 %s...", path, found["sha256"][:12])
        yield name, found


if __name__ == "__main__":
    run("convert", main)
