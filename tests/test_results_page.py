"""Page of the results benchmark."""

from benchmarks.results import CARRIED, CASES, ON_1_0, ON_2_0, page, row, train_model, ways
from pipeline.files import write_json
from pipeline.graph.architecture import build_graph
from pipeline.graph.architecture_file import read_architecture
from pipeline.graph.archive import save_graph

ROW = {
    "case": "net on data",
    "trained_as": "1.0",
    "run_as": "1.0 at 8/4/4",
    "images": 2000,
    "float_accuracy": 0.9,
    "accuracies": {"plain": 0.84, "refined": 0.885, "distilled": 0.89, "labelled": 0.895},
    "errors": {"plain": 0.01, "refined": 0.0042, "distilled": 0.0, "labelled": 0.0},
    "agreement": 0.95,
    "weight_bytes": 2048,
    "macs": 123456,
    "sparsity": 0.25,
}


def test_every_figure_is_on_the_page():
    text = page([ROW, {**ROW, "case": "other"}], "python -m benchmarks.results")
    line = (
        "| 1.0 | 1.0 at 8/4/4 | 90.00% | 84.00% | 88.50% | 89.00% | 89.50% | 0.42 | 95.00% | 2.0 |"
        " 123,456 | 25.0% |"
    )
    assert text.count(line) == 2 and text.count("2,000 test images") == 2
    assert "Made by `python -m benchmarks.results` (`make results`)" in text


def test_models_are_converted_to_the_chips_that_fit():
    def names(model, version=None):
        parameters = [f"version={version}"] if version else []
        graph = build_graph(read_architecture(model, parameters))
        return [way.name for way in ways(graph, version)]

    old, new, carried = ([way.name for way in group] for group in (ON_1_0, ON_2_0, CARRIED))
    assert names("ds_cnn", 1.0) == old + carried
    assert names("ds_cnn", 2.0) == new
    assert names("mlp") == old + new


def test_the_models_of_all_cases_build():
    for case in CASES:
        assert build_graph(read_architecture(case.model, case.parameters)).parameters > 0


def test_kept_rows_and_models_are_not_made_again(tmp_path):
    case, kept = CASES[0], {"case": "kept"}
    model = build_graph(read_architecture("mlp"), seed=0)
    save_graph(tmp_path / "separable_cnn_on_digits_either_0.npz", model)
    write_json(tmp_path / "separable_cnn_on_digits_either_1.0_at_8_4_4.json", kept)
    assert train_model(case, None, 0, tmp_path)[2].name == model.name == "mlp"
    assert row(case, None, model, ON_1_0[0], tmp_path) == kept
