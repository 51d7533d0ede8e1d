"""Export a program as ONNX, and compare the integers of every layer with onnxruntime's."""

from __future__ import annotations

import numpy as np

from conformance.exports.case import Case
from pipeline.chips import convert, newest_for
from pipeline.errors import ModelError
from pipeline.exporters.program_onnx import program_model
from simulator import simulate
from simulator.engine import check_images
from simulator.errors import ProgramError

STEP = 32
"""Images, or frames of a stream, that the emulator takes at once."""


def examine(case: Case) -> dict:
    """Compare one model on its newest chip; see `conformance.exports.work.run_task`."""
    import onnx
    import onnxruntime

    try:
        program = convert(case.quantized, newest_for(case.quantized.scheme))
    except (ModelError, ProgramError) as error:
        return {"status": "unusable", "why": str(error)}
    try:
        model = program_model(program, layers=True)
    except ModelError as error:
        return {"status": "refused", "why": str(error)}
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    images = check_images(program, case.images[:STEP])
    last, *others = session.run(None, {"images": images})
    wanted = {}
    outputs = simulate(
        program, images, probe=lambda layer, values: wanted.update({layer.name: np.array(values)})
    )
    pairs = zip((*wanted, "outputs"), (*others, last), (*wanted.values(), outputs), strict=True)
    why = [
        f"{name}: {np.count_nonzero(found != values)} of {values.size} differ"
        for name, found, values in pairs
        if not np.array_equal(found, values)
    ]
    return {
        "status": "mismatch" if why else "equal",
        "why": "; ".join(why),
        "form": "same",
        "tensors": len(wanted),
        "values": sum(values.size for values in wanted.values()),
        "outputs": outputs.size,
    }
