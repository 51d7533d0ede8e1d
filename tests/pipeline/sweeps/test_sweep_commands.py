"""Sweeps as users run them: launchers, refusals, kills, absent servers; no lost or double runs."""

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from pipeline.files import PROGRAM
from pipeline.repro.workspace import KEEP_PARAMS
from pipeline.tracking.store import EXPERIMENT, OUTCOME
from tests.repository import FRONT, Repository, sentences
from tests.tutorial_page import PAGE_1_0, PAGE_2_0, collapsed
from tests.waiting import wait_for

# MLflow's database layer uses what the next version deprecates.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

SWEEP = (*FRONT, "-m", "transforms=none", "quantization=both_w4a4")
CROSSGRADE = (sys.executable, "-c", "from pipeline.cli import main; main()")


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return Repository(tmp_path_factory.mktemp("with space") / "clone")


def table(repository, sweep=-1):
    """Return the rows of a sweep's CSV table, by name."""
    folder = sorted((repository.root / "multirun").iterdir())[sweep]
    with (folder / "pareto.csv").open(newline="") as file:
        return folder, list(csv.DictReader(file))


def test_parallel_points_share_training_and_refusals_do_not_stop_them(repository):
    output = repository.run(
        *SWEEP, "quantization.weight_bits=3,4", "target=akida_v1,akida_v2", "hydra/launcher=joblib"
    )
    assert repository.builds.read_text() == "build\n"
    rows = table(repository)[1]
    assert [row["state"] for row in rows] == ["refused", "refused", "finished", "refused"]
    assert "quantization.weight_bits: found 3; allowed: 2, 4, 8" in rows[0]["reason"]
    assert "split it in two (transform unfuse_separable)" in " ".join(rows[3]["reason"].split())
    shown = output.partition("#  weight_bits")[2].splitlines()
    assert max(map(len, shown[:-2])) <= 100
    assert "Traceback" not in output
    for count in range(1, 5):
        assert re.search(rf"^\[{count} of 4[],].*: ", output, re.MULTILINE), output

    client, (parent,), points = repository.sweep_runs()
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics == {"points": 4, "finished": 1, "refused": 3, "failed": 0}
    assert {f.path for f in client.list_artifacts(parent.info.run_id)} == {
        "pareto.csv",
        "pareto.html",
        "pareto.md",
        "pareto.png",
    }
    refused = [run for run in points[parent.info.run_id] if OUTCOME in run.data.tags]
    (finished,) = [run for run in points[parent.info.run_id] if OUTCOME not in run.data.tags]
    commits = {run.data.tags["mlflow.source.git.commit"] for run in (parent, finished, *refused)}
    assert len(commits) == 1
    assert len(refused) == 3 and {run.info.status for run in refused} == {"FAILED"}
    assert all(run.data.tags["mlflow.note.content"] for run in refused)
    assert {run.data.params["target.name"] for run in refused} == {"akida_v1", "akida_v2"}
    assert finished.info.status == "FINISHED"
    assert finished.data.params["quantization.weight_bits"] == "4"
    compared = {"accuracy", "weight_kib", "macs", "effective_macs", "energy_proxy"}
    assert compared <= set(finished.data.metrics)
    names = {file.path for file in client.list_artifacts(finished.info.run_id)}
    assert {"program.npz", "summary.txt", "params.yaml", "metrics", "plots", "model"} <= names


def test_repeating_a_command_runs_a_sweep_from_the_cache(repository):
    builds = repository.builds.read_text()
    before = len(list((repository.root / "multirun").iterdir()))
    repository.run(*SWEEP, "quantization.weight_bits=3,4", "target=akida_v1,akida_v2")
    assert repository.builds.read_text() == builds
    assert len(list((repository.root / "multirun").iterdir())) == before + 1
    _, parents, points = repository.sweep_runs()
    assert [len(points[parent.info.run_id]) for parent in parents] == [4, 4]
    first, second = (
        {run.data.metrics.get("evaluate.accuracy") for run in points[parent.info.run_id]}
        for parent in parents
    )
    assert first == second


def test_an_unknown_name_is_refused_before_anything_runs(repository):
    before = len(list((repository.root / "multirun").iterdir()))
    for wrong, reason in {
        "quantization.weight_bitz=4,8": "quantization.weight_bitz: no such name",
        "target=akida_v9,akida_v1": "target: found 'akida_v9'; allowed: akida_v1, akida_v2",
        "sed=1,2": "sed: unknown name; did you mean seed?",
        "hydra/launcher=jobib": "Could not find 'hydra/launcher/jobib'; Available options",
        "hydra.launcher.n_job=2": "Could not override 'hydra.launcher.n_job'",
        "hydra.sweep.dirr=x": "Could not override 'hydra.sweep.dirr'",
        "quantization.weight_bits=[2,4": "'quantization.weight_bits=[2,4': Hydra cannot read it",
        "seed=1,": "'seed=1,': Hydra cannot read it",
    }.items():
        output = repository.run(*SWEEP, wrong, fails=True)
        first, *others = output.splitlines()
        assert first.startswith("pipeline: ") and all(line[:4] == "    " for line in others)
        assert max(map(len, output.splitlines())) <= 100
        assert reason in " ".join(output.split())
    output = repository.run(*SWEEP, "seed=1,2", "--objectives", "speed", fails=True)
    output = " ".join(output.split())
    assert output.startswith("pipeline: --objectives: found 'speed'; allowed: accuracy")
    assert len(list((repository.root / "multirun").iterdir())) == before


def test_widths_of_single_layers_are_swept(repository):
    name = "quantization.layers.sep*.weight_bits"
    output = repository.run(*SWEEP, "target=akida_v1", f"{name}=2,3,4")
    assert repository.builds.read_text() == "build\n"
    rows = table(repository)[1]
    assert [row["state"] for row in rows] == ["finished", "refused", "finished"]
    assert f"{name}: found 3; allowed: 2, 4, 8" in rows[1]["reason"]
    assert int(float(rows[0]["weight_bytes"])) < int(float(rows[2]["weight_bytes"]))
    assert "sep*.weight_bits=2: accuracy" in sentences(output)
    _, parents, points = repository.sweep_runs()
    finished = [run for run in points[parents[-1].info.run_id] if OUTCOME not in run.data.tags]
    logged = "quantization.layers.sep:2A.weight_bits"
    assert {run.data.params[logged] for run in finished} == {"2", "4"}


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_a_killed_sweep_resumes(repository, launcher):
    seed = {"basic": 11, "joblib": 12}[launcher]
    repository.builds.write_text("")
    command = [*SWEEP, f"seed={seed}", "target=akida_v1", f"hydra/launcher={launcher}"]
    command.append("quantization.calibration.seed=1,2")
    begun = "*/sweep.json"
    before = len(list((repository.root / "multirun").glob(begun)))
    front = subprocess.Popen(
        command,
        cwd=repository.root,
        env=repository.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: len(list((repository.root / "multirun").glob(begun))) > before)
    done = "*/points/*/outcome.json"
    ended = len(list((repository.root / "multirun").glob(done)))
    wait_for(lambda: len(list((repository.root / "multirun").glob(done))) > ended)
    front.send_signal(signal.SIGKILL)
    front.wait()

    output = repository.run(*command)
    assert "going on with" in sentences(output)
    folder, rows = table(repository)
    assert [row["state"] for row in rows] == ["finished"] * 2
    assert repository.builds.read_text() == "build\n"
    _, parents, points = repository.sweep_runs()
    runs = points[parents[-1].info.run_id]
    assert {run.info.status for run in [parents[-1], *runs]} == {"FINISHED"}
    seeds = [run.data.params["quantization.calibration.seed"] for run in runs]
    assert sorted(seeds) == ["1", "2"]
    assert not list(folder.rglob(".*.json.*")), "a file was written in part"


def test_a_stage_that_crashes_fails_its_point_and_is_tried_again(repository):
    repository.edit(
        "stages/convert.py", "    config = load()\n", "    config = load()\n    1 / 0\n"
    )
    command = (*SWEEP, "target=akida_v1", "quantization.calibration.seed=4")
    output = repository.run(*command, fails=True)
    assert "some points failed; the same command goes on with it" in sentences(output)
    _, rows = table(repository)
    assert [row["state"] for row in rows] == ["failed"]
    assert "ZeroDivisionError" in rows[0]["reason"]
    repository.edit("stages/convert.py", "    1 / 0\n", "")
    repository.run(*command)
    assert [row["state"] for row in table(repository)[1]] == ["finished"]


def test_submitit(repository):
    pytest.importorskip("submitit", reason="needs the extra 'parallel'")
    repository.run(*SWEEP, "target=akida_v1,akida_v2", "hydra/launcher=submitit_local")
    assert [row["state"] for row in table(repository)[1]] == ["finished", "refused"]


def test_ray(repository):
    pytest.importorskip("hydra_plugins.hydra_ray_launcher", reason="needs the extra 'ray'")
    cpus = "+hydra.launcher.ray.init.num_cpus=2"
    repository.run(*SWEEP, "target=akida_v1,akida_v2", "hydra/launcher=ray", cpus)
    assert [row["state"] for row in table(repository)[1]] == ["finished", "refused"]


def test_one_quantized_model_on_both_chips_shows_both_summaries(repository):
    """The last section of the tutorial: summaries of one quantized file on both chips."""
    choices = ("model=tutorial_cnn", "data=digits32", "quantization=w4a4", "transforms=none")
    output = repository.run(*FRONT, "-m", *choices, "target=akida_v1,akida_v2")
    first, second = (collapsed(text) for text in output.split("\ntarget=akida_v")[-2:])
    assert "one scale per tensor instead of one per channel" in first
    assert PAGE_1_0 in first
    # Its rules are as wide as the longest name, which Keras' counter of sessions made longer.
    layers = PAGE_2_0.replace("dequantizer_3", "dequantizer")
    assert rows_of(second) == rows_of(layers)
    folder, rows = table(repository)
    assert [row["state"] for row in rows] == ["finished"] * 2
    assert len(list(folder.glob("shared/quantize-*"))) == 1
    quantized = {path.read_bytes() for path in folder.glob("points/*/workspace/artifacts/q*.npz")}
    assert len(quantized) == 1


def rows_of(summary):
    return [line for line in summary.splitlines() if "[" in line and "=" not in line]


def test_optuna_with_two_objectives(repository):
    pytest.importorskip("optuna", reason="needs the extra 'optuna'")
    repository.run(
        *SWEEP,
        "target=akida_v1",
        "quantization.weight_bits=choice(2,4)",
        "quantization.activation_bits=choice(4,8)",
        "hydra/sweeper=optuna",
        "hydra.sweeper.direction=[maximize,minimize]",
        "hydra.sweeper.n_trials=4",
        "hydra.sweeper.n_jobs=1",
        "hydra.sweeper.sampler.seed=1",
        *("--objectives", "accuracy,effective_macs"),
    )
    folder, rows = table(repository)
    points = [json.loads(path.read_text()) for path in folder.glob("points/*/outcome.json")]
    assert 1 <= len(rows) == len(points) <= 4, "equal trials are one point"
    for point in points:
        wide = point["params"]["quantization.activation_bits"] == "8"
        assert point["state"] == ("refused" if wide else "finished")
    assert "solutions" in (folder / "optimization_results.yaml").read_text()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Yield the address of an MLflow server, and a function that starts it."""
    root = tmp_path_factory.mktemp("server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address, started = f"http://127.0.0.1:{port}", []

    def start():
        command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(port)]
        command += ["--backend-store-uri", f"sqlite:///{root}/server.db"]
        command += ["--artifacts-destination", str(root / "files")]
        log = (root / "log").open("w")
        kept = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
        started.append(
            subprocess.Popen(command, cwd=root, stdout=log, stderr=log, env=kept, process_group=0)
        )
        log.close()
        wait_for(lambda: responds(f"{address}/health"), started[-1], root / "log")

    yield address, start
    for process in started:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def responds(address):
    try:
        with urllib.request.urlopen(address, timeout=2) as response:
            return response.status == 200
    except OSError:
        return False


def test_results_wait_for_a_server_and_are_recorded_once(repository, server):
    address, start = server
    there = {"MLFLOW_TRACKING_URI": address}
    single = (*FRONT, "quantization=w4a4")
    output = repository.run(*single, **there)
    shown = sentences(output)
    assert "does not answer" in shown and "crossgrade track --resume" in shown
    output = repository.run(*SWEEP, "target=akida_v1,akida_v2", "seed=0", **there)
    assert "results are kept in" in sentences(output)
    assert f"for {address}" in sentences(repository.run(*CROSSGRADE, "track"))
    assert "does not answer" in sentences(
        repository.run(*CROSSGRADE, "track", "--resume", fails=True)
    )
    start()
    for _ in range(2):
        output = repository.run(*CROSSGRADE, "track", "--resume")
    assert output == "everything is recorded\n"
    repository.run("dvc", "repro", **there, **{KEEP_PARAMS: "1"})
    client, (parent,), points = repository.sweep_runs(address)
    states = sorted(run.info.status for run in points[parent.info.run_id])
    assert (parent.info.status, states) == ("FINISHED", ["FAILED", "FINISHED"])
    experiment = client.get_experiment_by_name(EXPERIMENT)
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 4, "one single run, one sweep, two points"
    for run in runs:
        if run.info.status == "FINISHED" and run is not parent:
            assert client.list_artifacts(run.info.run_id)


def test_a_sweep_straight_to_a_server(repository, server):
    address, _ = server
    _, before, _ = repository.sweep_runs(address)
    repository.run(*SWEEP, "target=akida_v1,akida_v2", "seed=0", MLFLOW_TRACKING_URI=address)
    client, parents, points = repository.sweep_runs(address)
    assert len(parents) == len(before) + 1
    (finished,) = [r for r in points[parents[-1].info.run_id] if r.info.status == "FINISHED"]
    assert "model" in {file.path for file in client.list_artifacts(finished.info.run_id)}


def test_every_way_to_run_gives_the_same_bytes(repository):
    root, bits = repository.root, "quantization.weight_bits=4"
    programs, metrics = {}, {}

    def note(way, folder):
        programs[way] = (folder / PROGRAM).read_bytes()
        files = (folder / "artifacts/metrics").glob("*.json")
        metrics[way] = {path.name: json.loads(path.read_text()) for path in files}

    repository.run(*FRONT, bits)
    note("python -m pipeline", root)
    repository.run(*FRONT)
    repository.run("dvc", "exp", "run", "-S", bits)
    note("dvc exp run -S", root)
    repository.run(*FRONT, "-m", "quantization.weight_bits=4,8", "analyze.sweeps=true")
    (point,) = [p for p in table(repository)[0].glob("points/*") if bits_of(p) == "4"]
    note("sweep", point / "workspace")
    repository.edit(
        "conf/experiment/tiny.yaml", "quantization: {", "quantization: {weight_bits: 4, "
    )
    repository.run("dvc", "repro")
    note("dvc repro", root)
    assert len(set(programs.values())) == 1
    assert all(values == metrics["dvc repro"] for values in metrics.values())


def bits_of(point):
    return json.loads((point / "outcome.json").read_text())["params"]["quantization.weight_bits"]
