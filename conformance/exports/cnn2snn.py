"""Export a model for cnn2snn, and compare with what is read from the file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from conformance.exports.case import Case, equal_registers
from pipeline.chips import convert
from pipeline.errors import ModelError
from pipeline.exporters.formats import export
from pipeline.importers import load_model
from pipeline.quantization.integers import integers
from simulator import simulate
from simulator.errors import ProgramError


def examine(case: Case) -> dict:
    """Compare one model; see `conformance.exports.work.run_task`.

    The format has no open integer reference: the file is read again, and the program that follows
    is compared with the model's own, register by register or by its outputs.
    """
    try:
        wanted = convert(case.quantized, "akida_v1")
    except (ModelError, ProgramError) as error:
        return {"status": "unusable", "why": str(error)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.h5"
        try:
            export(path, case.quantized, "cnn2snn")
        except ModelError as error:
            return {"status": "refused", "why": str(error)}
        found = convert(integers(load_model(path)), "akida_v1")
    outputs, again = (simulate(program, case.images) for program in (wanted, found))
    different = np.count_nonzero(outputs != again)
    return {
        "status": "mismatch" if different else "equal",
        "why": f"{different} of {outputs.size} outputs differ" if different else "",
        "form": "same" if equal_registers(wanted, found) else "equivalent",
        "outputs": outputs.size,
    }
