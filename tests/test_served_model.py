"""A program served by MLflow: the emulator's outputs, and a reason for each refusal."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import yaml

from pipeline.chips import convert
from pipeline.config import Calibration, Quantization
from pipeline.graph.architecture import build_graph
from pipeline.quantization.quantize import quantize
from pipeline.serving.served_model import save_served_model
from simulator import simulate
from simulator.serving import _load_pyfunc
from tests.waiting import PATIENCE_SECONDS, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

MODEL = {
    "name": "tiny",
    "input": {"shape": [6, 6, 1], "dtype": "uint8"},
    "layers": [
        {"Conv2D": {"filters": 3, "kernel_size": 3, "padding": "same"}},
        {"ReLU": {"max_value": 6.0}},
        {"Flatten": {}},
        {"Dense": {"units": 3}},
    ],
}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Return a program, and the folder of its MLflow model."""
    root = tmp_path_factory.mktemp("served")
    images = np.random.default_rng(0).integers(0, 256, (20, 6, 6, 1), np.uint8)
    options = Quantization(calibration=Calibration(samples=20, batch_size=10))
    program = convert(quantize(build_graph(MODEL, seed=0), images, options), "akida_v2")
    program.save(root / "program.npz")
    save_served_model(root / "program.npz", root / "model")
    return program, images, root


def test_the_model_needs_numpy_only(served):
    root = served[-1]
    requirements = (root / "model/requirements.txt").read_text().split()
    assert [r.partition("==")[0] for r in requirements] == ["mlflow", "numpy"], "server, emulator"
    assert yaml.safe_load((root / "model/MLmodel").read_text())["flavors"].keys() == {
        "python_function"
    }
    code = (
        f"import sys; sys.path[:0] = [{str(root / 'model/code')!r}]; "
        "from simulator.serving import _load_pyfunc; import numpy as np; "
        f"model = _load_pyfunc({str(root / 'model/data/program.npz')!r}); "
        "print(model.predict(np.zeros((1, 6, 6, 1), np.uint8)).shape); "
        "heavy = {'mlflow', 'tensorflow', 'pipeline', 'omegaconf'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "(1, 3)"


def test_the_loader_predicts_as_the_emulator(served):
    program, images, root = served
    answer = _load_pyfunc(str(root / "program.npz")).predict(images)
    np.testing.assert_array_equal(answer, simulate(program, images))
    as_json = _load_pyfunc(str(root / "program.npz")).predict(images.astype(float))
    np.testing.assert_array_equal(as_json, answer)
    classes = _load_pyfunc(str(root / "program.npz")).predict(images, {"classes": True})
    np.testing.assert_array_equal(classes, simulate(program, images).reshape(20, 3).argmax(1))


MLFLOW = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", "model"]
MLFLOW += ["--env-manager", "local", "--host", "127.0.0.1", "--workers", "1"]
CROSSGRADE = [str(Path(sys.executable).with_name("crossgrade")), "serve", "program.npz"]


@pytest.fixture(scope="module", params=[MLFLOW, CROSSGRADE], ids=["mlflow", "crossgrade"])
def address(served, request):
    """Yield the address of a program's server: MLflow's, and ``crossgrade serve``."""
    _, _, root = served
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    path = os.pathsep.join((os.path.dirname(sys.executable), os.environ["PATH"]))
    with (root / "log").open("w") as log:
        process = subprocess.Popen(
            [*request.param, "--port", port],
            cwd=root,
            env=os.environ | {"PATH": path},
            stdout=log,
            stderr=log,
            process_group=0,
        )
    wait_for(lambda: ask(f"http://127.0.0.1:{port}/ping")[0] == 200, process, root / "log")
    yield f"http://127.0.0.1:{port}/invocations"
    os.killpg(process.pid, signal.SIGTERM)
    process.wait()


def ask(address, body=None):
    """Return status and text of a response; status 0 if there is none."""
    return send(address, None if body is None else json.dumps(body).encode())


def send(address, data):
    """Return status and text of the response to a body of bytes."""
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def test_served_predictions_are_the_emulators(served, address):
    program, images, _ = served
    status, text = ask(address, {"inputs": images.tolist()})
    assert status == 200, text
    given = np.array(json.loads(text)["predictions"], np.float32)
    np.testing.assert_array_equal(given, simulate(program, images))
    status, text = ask(address, {"inputs": images.tolist(), "params": {"classes": True}})
    assert status == 200, text
    wanted = simulate(program, images).reshape(len(images), -1).argmax(axis=1)
    np.testing.assert_array_equal(json.loads(text)["predictions"], wanted)


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        (np.zeros((2, 5, 6, 1), int).tolist(), "takes uint8 of shape (n, 6, 6, 1)"),
        (np.zeros((6, 6, 1), int).tolist(), "takes uint8 of shape (n, 6, 6, 1)"),
        ([], "takes uint8 of shape (n, 6, 6, 1)"),
        (None, "takes uint8 of shape (n, 6, 6, 1)"),
        (np.full((1, 6, 6, 1), 300).tolist(), "values that uint8 does not hold"),
        (np.full((1, 6, 6, 1), 0.5).tolist(), "give raw pixels 0..255"),
        (np.full((1, 6, 6, 1), "a").tolist(), "<U1"),
        ([[1], [2, 3]], ""),
    ],
)
def test_wrong_inputs_are_refused_with_a_reason(address, inputs, reason):
    status, text = ask(address, {"inputs": inputs})
    assert status == 400, text
    message = json.loads(text)["message"]
    assert message and reason in message
    assert ask(address, {"inputs": np.zeros((1, 6, 6, 1), int).tolist()})[0] == 200


BODIES = {
    "no JSON": b'{"inputs": [',
    "no UTF-8": b'{"inputs": "\xff"}',
    "nested deeply": b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a number of 9,999 digits": b'{"inputs": [' + b"9" * 9999 + b"]}",
    "another structure": b'{"dataframe_split": {"columns": 5, "data": 7}}',
}


@pytest.mark.parametrize("address", [CROSSGRADE], indirect=True, ids=["crossgrade"])
@pytest.mark.parametrize("name", BODIES)
def test_damaged_requests_are_refused(address, name):
    """MLflow's own server replies with status 500 to some of them."""
    status, text = send(address, BODIES[name])
    assert status == 400 and json.loads(text)["message"], text


def test_a_port_in_use_is_refused(served):
    from pipeline.errors import ConfigError
    from pipeline.serving.server import serve

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port}: .*choose another one"):
            serve(served[0], port, announce=print)
