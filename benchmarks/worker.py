"""Run one tool on one network: ``python -m benchmarks.worker TOOL FOLDER BATCH``.

Reads a number of batches per line from standard input, runs them, and prints the CPU and wall
seconds, so that the parent process can interleave tools. All tools use one thread.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np  # noqa: E402  (after the threads are set)


def crossgrade(backend):
    """Return a runner of the program on one backend."""

    def prepare(folder, images):
        from simulator import Program, simulate
        from simulator.plan import compile_program

        program = Program.load(folder / "program.npz")
        plan = backend if backend == "reference" else compile_program(program, backend)
        return lambda: simulate(program, images, backend=plan)

    return prepare


def keras_float32(folder, images):
    """Return a runner of the float model as a compiled Keras call."""
    import tensorflow as tf

    from pipeline.graph.archive import load_graph
    from pipeline.graph.keras_io import to_keras

    _one_thread(tf)
    model = to_keras(load_graph(folder / "graph.npz"))
    call = tf.function(model, jit_compile=False)
    batch = tf.constant(images.astype(model.inputs[0].dtype))
    return lambda: call(batch, training=False).numpy()


def quantizeml(folder, images):
    """Return a runner of QuantizeML's model as a compiled call."""
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    import tensorflow as tf
    from quantizeml import load_model

    _one_thread(tf)
    model = load_model(str(folder / "quantizeml.h5"))
    call = tf.function(lambda x: model(x, training=False))
    batch = tf.constant(images)
    return lambda: call(batch).numpy()


def tflite_int8(folder, images):
    """Return a runner of TFLite's int8 model with XNNPACK."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(folder / "model.tflite"), num_threads=1)
    entry = interpreter.get_input_details()[0]
    interpreter.resize_tensor_input(entry["index"], images.shape)
    interpreter.allocate_tensors()
    output = interpreter.get_output_details()[0]["index"]
    batch = images.astype(entry["dtype"])

    def run():
        interpreter.set_tensor(entry["index"], batch)
        interpreter.invoke()
        return interpreter.get_tensor(output)

    return run


def onnxruntime_qdq(folder, images):
    """Return a runner of onnxruntime's quantized model."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        folder / "qdq.onnx", options, providers=["CPUExecutionProvider"]
    )
    batch = np.ascontiguousarray(images.transpose(0, 3, 1, 2).astype(np.float32))
    return lambda: session.run(None, {"images": batch})


def _one_thread(tf):
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


TOOLS = {
    "crossgrade reference": crossgrade("reference"),
    "crossgrade numpy": crossgrade("numpy"),
    "crossgrade fast": crossgrade("fast"),
    "QuantizeML call": quantizeml,
    "TFLite int8": tflite_int8,
    "ORT int8": onnxruntime_qdq,
    "Keras float32": keras_float32,
}


def main() -> None:
    """Prepare one tool and serve timings on standard input and output."""
    tool, folder, batch = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of libraries goes to standard error
    images = np.load(folder / "images.npy")[:batch]
    run = TOOLS[tool](folder, images)
    for _ in range(2):
        run()
    print("ready", file=replies, flush=True)
    for line in sys.stdin:
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(int(line)):
            run()
        took = time.process_time() - cpu, time.perf_counter() - wall
        print(*took, file=replies, flush=True)


if __name__ == "__main__":
    main()
