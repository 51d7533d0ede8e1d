"""``python -m pipeline --search``: widths of single layers, found and swept over."""

import csv
import logging

import numpy as np
import pytest
import yaml

from pipeline.config import Calibration, Quantization, check
from pipeline.data import Dataset, calibration_samples, choice_samples
from pipeline.errors import ConfigError
from pipeline.sweeps import width_search
from pipeline.sweeps.width_search import front, search
from tests.pipeline.analysis.faults import images, network
from tests.repository import FRONT, Repository, sentences


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--search"], "give budgets, or one max_loss=NUMBER"),
        (["--search", "size=3"], "--search: found 'size=3'; allowed: weight_kib=NUMBER"),
        (["--search", "max_loss=2"], "found 'max_loss=2'; allowed: from 0 to 1"),
        (["--search", "max_loss=.1", "--search", "weight_kib=4"], "or one max_loss"),
        (["--search", "weight_kib=4", "quantization=w4a4"], "chooses its widths and scheme itself"),
        (["--search", "weight_kib=4", "target=akida_v1,akida_v2"], "takes one model"),
        (["--search", "weight_kib=4", "quantization.layers.x.weight_bits=4"], "chooses its widths"),
        (["--search", "weight_kib=4", "quantization.weight_bits=4"], "chooses its widths"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_runs(arguments, reason):
    with pytest.raises(ConfigError, match=reason.replace("(", r"\(")):
        search(arguments)


def test_widths_are_chosen_on_images_beside_those_of_calibration():
    pictures = np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1)
    labels = np.arange(20)
    data = Dataset(
        name="", source="", licence="", classes=tuple(map(str, labels)),
        x_train=pictures, y_train=labels, x_test=pictures, y_test=labels,
    )  # fmt: skip
    options = Calibration(samples=12)
    known, (chosen, labels) = calibration_samples(data, options), choice_samples(data, options, 6)
    assert len(chosen) == 6 and not set(known.ravel()) & set(chosen.ravel())
    np.testing.assert_array_equal(chosen.ravel(), labels)
    with pytest.raises(ConfigError, match="all training images"):
        choice_samples(data, Calibration(samples=20), 6)


def test_a_front_holds_other_budgets_too():
    from pipeline.analysis.search import Search
    from pipeline.analysis.sensitivity import measure
    from pipeline.analysis.variants import variants

    options = Quantization(calibration=Calibration(batch_size=8))
    made = variants(network(), images(), options, "akida_v2")
    finder = Search(made, measure(made, images()), images())
    found = front(finder, {"weight_kib": 1.0})
    assert 2 <= len(found) <= 4
    assert found[0].cost.weight_bytes <= 1024
    sizes = [one.cost.weight_bytes for one in found[1:]]
    assert sizes == sorted(sizes)
    assert front(finder, {"max_loss": 0.2})[0].score.agreement >= 0.8


def test_the_widest_widths_are_no_choice_of_their_own(tmp_path, monkeypatch, caplog):
    """The sweep has w8a8 in any case; an equal point would run for nothing."""
    from pipeline.config.compose import compose
    from pipeline.graph.archive import save_graph

    few = [f"quantization.calibration.{key}=16" for key in ("samples", "batch_size")]
    config = check(compose([*few, "quantization.refine=none"]))
    monkeypatch.chdir(tmp_path)
    save_graph(tmp_path / "m.npz", network())
    monkeypatch.setattr(width_search, "TRANSFORMED", tmp_path / "m.npz")
    one = images()
    data = Dataset(
        name="", source="", licence="", classes=tuple("01234"),
        x_train=one, y_train=np.arange(24) % 5, x_test=one, y_test=np.arange(24) % 5,
    )  # fmt: skip
    monkeypatch.setattr(width_search, "load_data", lambda options: data)
    monkeypatch.setattr(
        width_search, "front", lambda finder, _: [finder.verified({}), finder.smallest()]
    )
    caplog.set_level(logging.INFO)
    stale = tmp_path / "conf/quantization" / "found_net_1.yaml"
    stale.parent.mkdir(parents=True)
    stale.write_text("")
    names, _ = width_search._found(config, {"weight_kib": 999.0})
    assert "the widest widths are within the budget: " in caplog.text
    assert "Cost(" not in caplog.text and "Score(" not in caplog.text
    assert names == ["found_net_2"]
    (written,) = stale.parent.iterdir()
    assert yaml.safe_load(written.read_text())["layers"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_search_becomes_a_sweep(tmp_path):
    repository = Repository(tmp_path / "clone")
    output = repository.run(*FRONT, "--search", "weight_kib=6")
    choices = sorted((repository.root / "conf/quantization").glob("found_*.yaml"))
    assert choices and "sweep: MLflow run" in sentences(output)
    values = yaml.safe_load(choices[0].read_text())
    assert values["defaults"] == ["w8a8", "_self_"] and values["layers"]
    (folder,) = (repository.root / "multirun").iterdir()
    with (folder / "pareto.csv").open(newline="") as file:
        rows = {row["quantization"]: row for row in csv.DictReader(file)}
    assert {"w8a8", "w4a4", choices[0].stem} <= rows.keys()
    assert all(row["state"] == "finished" for row in rows.values())
    sizes = {name: int(float(row["weight_bytes"])) for name, row in rows.items()}
    # Without training all widths lose next to nothing, and the narrowest may lose least.
    assert sizes["w4a4"] <= sizes[choices[0].stem] <= 6 * 1024 < sizes["w8a8"]
    client, (parent,), _ = repository.sweep_runs()
    names = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert names == {
        *("pareto.csv", "pareto.md", "pareto.png", "pareto.html"),
        "sensitivities.html",
    }
