"""DVC's experiments: their figures, their place in the store, and files that git does not know."""

import csv
import io

import numpy as np
import pytest

from tests.repository import Repository
from tests.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    repository = Repository(tmp_path_factory.mktemp("with space") / "clone")
    rng = np.random.default_rng(0)
    np.savez(
        repository.root / "mine.npz",
        x_train=rng.integers(0, 256, (40, 8, 8, 1), np.uint8),
        x_test=rng.integers(0, 256, (20, 8, 8, 1), np.uint8),
        y_train=np.arange(40) % 10,
        y_test=np.arange(20) % 10,
    )
    with (repository.root / ".gitignore").open("a") as file:
        file.write("mine.npz\nbuilds.log\n")
    repository.run("dvc", "repro")
    repository.run("git", "add", "--all")
    repository.run("git", "commit", "--quiet", "--message=ran")
    return repository


def rows(repository):
    """Return the rows of `dvc exp show` by experiment, or by revision for others."""
    text = repository.run("dvc", "exp", "show", "--csv")
    text = text[text.index("Experiment,") :]
    found = csv.DictReader(io.StringIO(text))
    return {row["Experiment"] or row["rev"]: row for row in found}


def test_an_experiment_keeps_its_figures(repository):
    repository.run("dvc", "exp", "run", "--name", "four", "-S", "quantization.weight_bits=4")
    shown = rows(repository)
    scores = ("accuracy", "float_accuracy", "weight_bytes", "effective_macs", "exceeded_limits")
    baseline, four = shown["master"], shown["four"]
    for name in scores:
        assert float(baseline[name]) >= 0 and float(four[name]) >= 0
    assert float(four["weight_bytes"]) < float(baseline["weight_bytes"])
    inner = {"parameters", "agreement", "calibration_images", "layers"}
    assert not inner & set(four), "inner figures are no columns"
    for command in (("exp", "diff", "master", "four"), ("metrics", "diff")):
        text = repository.run("dvc", *command)
        assert "weight_bytes" in text and "not supported" not in text and "failed" not in text
    text = repository.run("dvc", "plots", "diff", "HEAD", "--out", "dvc_plots")
    assert "failed" not in text and (repository.root / "dvc_plots/index.html").is_file()


def test_queued_and_temporary_experiments_record_here(repository):
    before = len(repository.runs()[1])
    data = ("-S", "data=arrays", "-S", "data.path=mine.npz")
    for bits in ("4", "8"):
        command = (
            "--queue",
            "--name",
            f"queued{bits}",
            *data,
            "-S",
            f"quantization.weight_bits={bits}",
        )
        repository.run("dvc", "exp", "run", *command)
    repository.run("dvc", "queue", "start")
    wait_for(lambda: repository.run("dvc", "queue", "status").count("Success") == 2)
    repository.run("dvc", "exp", "run", "--temp", "--name", "aside", "-S", "target.strict=true")
    client, runs = repository.runs()
    new = runs[: len(runs) - before]
    assert len(new) == 3
    for run in new:
        assert run.info.artifact_uri.startswith((repository.root / "mlruns").as_uri())
        assert "program.npz" in {f.path for f in client.list_artifacts(run.info.run_id)}
    shown = rows(repository)
    assert float(shown["queued4"]["weight_bytes"]) < float(shown["queued8"]["weight_bytes"])
    assert shown["queued4"]["data.path"] == "mine.npz"
    assert not list((repository.root / ".dvc/tmp/exps").glob("tmp*"))
