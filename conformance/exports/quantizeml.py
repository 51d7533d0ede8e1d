"""Export a model for QuantizeML, and compare every tensor and the outputs with QuantizeML's."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from conformance.exports.case import Case, equal_registers
from pipeline.chips import convert
from pipeline.errors import ModelError
from pipeline.exporters.formats import export
from pipeline.importers import load_model
from pipeline.quantization.integerize import integerize
from simulator import simulate
from simulator.errors import ProgramError


def examine(case: Case) -> dict:
    """Compare one model; see `conformance.exports.work.run_task`."""
    from conformance import oracle

    oracle.prepare()
    import tf_keras
    from quantizeml import load_model as load_quantizeml

    from conformance.compare import compare

    try:
        wanted = convert(case.quantized, "akida_v2")
    except (ModelError, ProgramError) as error:
        return {"status": "unusable", "why": str(error)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.h5"
        try:
            notes = export(path, case.quantized, "quantizeml")
        except ModelError as error:
            return {"status": "refused", "why": str(error)}
        imported = load_model(path)
        tf_keras.backend.clear_session()
        model = load_quantizeml(str(path))
    found = convert(integerize(imported), "akida_v2")
    trace = oracle.trace(model, case.images, temporal=case.temporal)
    comparison = compare(imported, trace, case.images)
    outputs = simulate(wanted, case.images).reshape(trace.outputs.shape)
    different = int(np.count_nonzero(outputs != trace.outputs))
    why = [str(entry) for entry in (*comparison.mismatches, *comparison.formats)]
    same = equal_registers(wanted, found)
    if not notes and not same:
        why.append("the imported program differs")
    inexact = bool(comparison.inexact)
    if different and not inexact:
        why.append(f"{different} of {outputs.size} outputs differ")
    status = "mismatch" if why else ("inexact" if inexact else "equal")
    return {
        "status": status,
        "why": "; ".join(why),
        "form": "same" if same else "equivalent",
        "tensors": comparison.tensors,
        "values": comparison.values,
        "outputs": outputs.size,
    }
