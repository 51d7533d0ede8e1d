"""Stage ``convert``: integers to a program of the target chip."""

from __future__ import annotations

import logging

from pipeline.config import load
from pipeline.files import PROGRAM, QUANTIZED, SUMMARY, metrics_path, write_json, write_text
from pipeline.messages.conversion import conversion_notes
from pipeline.quantization.archive import load_quantized
from pipeline.stage import log_notes, run
from pipeline.targets import convert
from simulator.summary import summary


def main() -> None:
    """Lower the integers to the target's layers, and print what they are."""
    config = load()
    chip = config.target
    quantized = load_quantized(QUANTIZED)
    program = convert(quantized, chip.name, strict=chip.strict, fit_registers=chip.fit_registers)
    notes = conversion_notes(quantized.notes, program)
    log_notes(notes)
    exceeded = list(program.limits())
    for sentence in exceeded:
        logging.warning(sentence)
    table = summary(program)
    metrics = {
        "layers": len(program.layers),
        "weight_bytes": sum(layer.weight_bytes for layer in program.layers),
        "macs": sum(layer.macs for layer in program.layers),
        "exceeded_limits": len(exceeded),
        "notes": [note.as_dict() for note in notes],
    }
    program.save(PROGRAM)
    write_text(SUMMARY, table)
    write_json(metrics_path("convert"), metrics)
    print(table)


if __name__ == "__main__":
    run("convert", main)
