"""Wrong files, folders, names and options on the command line."""

from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.cli.main import COMMANDS, LazyGroup, cli
from pipeline.errors import ConfigError, DataError, ModelError
from pipeline.exporters import save_keras3
from pipeline.graph.architecture import build_graph
from pipeline.graph.architecture_file import read_architecture
from pipeline.graph.archive import save_graph
from pipeline.messages.lines import WIDTH, wrapped_lines
from simulator.__main__ import main as emulate
from tests import builders

QUANTIZED = Path(__file__).parents[2] / "fixtures" / "quantized_residual.h5"


def run(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def files(tmp_path):
    graph = build_graph(read_architecture("ds_cnn", []))
    save_graph(tmp_path / "graph.npz", graph)
    save_keras3(tmp_path / "float.keras", graph)
    return {"graph": tmp_path / "graph.npz", "keras": tmp_path / "float.keras", "q": QUANTIZED}


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "program.npz"
    builders.integer_program(np.random.default_rng(0)).save(path)
    return path


@pytest.mark.parametrize(
    "command",
    [("simulate", "{}", "images.npy"), ("summary", "{}"), ("vectors", "{}", "i", "-o", "v")],
)
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("keras", "is a float model, not a program; make one of it: crossgrade quantize"),
        ("graph", "is a float model, not a program"),
        ("q", "is a quantized model, not a program; make one of it: crossgrade convert"),
    ],
)
def test_a_model_in_place_of_a_program_gets_the_next_command(command, kind, message, files):
    result = run(*(word.format(files[kind]) for word in command))
    assert isinstance(result.exception, ModelError)
    assert message in str(result.exception)


@pytest.mark.parametrize(
    ("typed", "meant"), [("simulat", "simulate"), ("quantise", "quantize"), ("chek", "check")]
)
def test_a_mistyped_command_gets_a_suggestion(typed, meant):
    result = run(typed)
    assert result.exit_code == 2
    assert f"Did you mean '{meant}'?" in result.output


def test_a_missing_folder_is_refused_before_the_work(program, tmp_path):
    missing = tmp_path / "new" / "outputs.npy"
    images = tmp_path / "images.npy"
    loaded = builders.integer_program(np.random.default_rng(0))
    np.save(images, builders.images(np.random.default_rng(0), loaded, 2))
    for option in ("-o", "--trace"):
        result = run("simulate", program, images, option, missing)
        assert isinstance(result.exception, ConfigError)
        assert f"the folder {missing.parent} does not exist" in str(result.exception)
        assert not missing.parent.exists()
    assert run("simulate", program, images, "-o", missing, "--parents").exit_code == 0
    assert missing.is_file()


def test_every_command_that_writes_has_the_option(tmp_path):
    group, found = LazyGroup(), []
    for command in COMMANDS:
        options = {name: p for p in group.get_command(None, command).params for name in p.opts}
        if "-o" in options or command == "vectors":
            found.append(command)
            assert "--parents" in options, command
            with pytest.raises(ConfigError, match="does not exist"):
                options["-o"].callback(click.Context(group), options["-o"], tmp_path / "no" / "x")
    assert len(found) > 8


def test_what_is_no_program_at_all_is_said_so(tmp_path):
    np.save(tmp_path / "images.npy", np.zeros((1, 2, 2, 1), np.uint8))
    (tmp_path / "text.npz").write_text("text")
    for name in ("images.npy", "text.npz"):
        result = run("summary", tmp_path / name)
        assert "is not a program, or only a part of one" in str(result.exception)
        assert "zip" not in str(result.exception)


def test_the_emulator_alone_names_the_folder_that_is_missing(program, tmp_path, capsys):
    missing = tmp_path / "new" / "outputs.npy"
    assert emulate([str(program), "no images", "-o", str(missing)]) == 1
    error = f"error: {missing.parent}: no such folder; create it first\n"
    assert capsys.readouterr().err == error


def test_a_compensation_that_nothing_uses_is_refused(tmp_path):
    result = run("migrate", QUANTIZED, "-o", tmp_path / "new.h5", "--recalibrate", "bn")
    assert isinstance(result.exception, ConfigError)
    assert "--gap exact does not use it" in str(result.exception)


def test_one_hot_labels_do_not_make_a_regression(tmp_path, files):
    np.save(tmp_path / "x.npy", np.zeros((4, 49, 10, 1), np.uint8))
    np.save(tmp_path / "y.npy", np.eye(12, dtype=np.float32)[:4])
    result = run(
        "quantize", files["graph"], "-o", tmp_path / "q.npz", "--samples", tmp_path / "x.npy",
        "--train", "labels", "--labels", tmp_path / "y.npy",
    )  # fmt: skip
    assert isinstance(result.exception, DataError)
    assert "one-hot rows: take labels.argmax(axis=1)" in str(result.exception)


def test_a_largest_drop_without_labels_is_refused(tmp_path):
    result = run("migrate", QUANTIZED, "-o", tmp_path / "new.h5", "--max-accuracy-drop", "0.1")
    assert isinstance(result.exception, ConfigError)
    assert "give --calibration and --labels as well" in str(result.exception)


def test_long_lines_of_a_message_are_wrapped_behind_their_indent():
    text = "error: a list\n  - " + "word " * 40 + "\n" + "x" * 120
    lines = wrapped_lines(text).split("\n")
    assert lines[0] == "error: a list"
    assert lines[1].startswith("  - word") and lines[2].startswith("      word")
    assert lines[-1] == "x" * 120
    assert all(len(line) <= WIDTH for line in lines[:-1])


LONG = "a_rather_long_name_of_a_layer_as_exporters_of_other_tools_make_them"


@pytest.fixture
def long_names(tmp_path, monkeypatch):
    """A model whose names are long, that migrate changes, and images."""
    monkeypatch.chdir(tmp_path)
    common = {"kernel_size": 3, "padding": "same"}
    layers = [
        {"Conv2D": {"name": f"{LONG}_1", "filters": 4, **common}},
        {"ReLU": {"name": f"{LONG}_2", "max_value": 6.0}},
        {"SeparableConv2D": {"name": f"{LONG}_3", "filters": 4, **common}},
        {"GlobalAveragePooling2D": {"name": f"{LONG}_4"}},
        {"ReLU": {"name": f"{LONG}_5", "max_value": 6.0}},
        {"Dense": {"name": f"{LONG}_6", "units": 3}},
    ]
    graph = build_graph({"name": LONG, "input": {"shape": [8, 8, 3]}, "layers": layers})
    save_keras3("m.keras", graph)
    rng = np.random.default_rng(0)
    np.save("x.npy", rng.integers(0, 256, (20, 8, 8, 3), np.uint8))


def test_no_sentence_is_wider_than_a_terminal(long_names):
    commands = (
        ("check", "m.keras"),
        ("check", "m.keras", "--target", "akida_v1"),
        ("migrate", "m.keras", "-o", "new_model_with_a_long_name.keras", "--calibration", "x.npy"),
        ("verify", "new_model_with_a_long_name_certificate"),
        ("compare", "m.keras", "new_model_with_a_long_name.keras", "x.npy"),
        ("unfuse", "-m", "m.keras"),
        ("quantize", "new_model_with_a_long_name.keras", "--samples", "x.npy", "-o", "q.npz"),
        ("convert", "q.npz", "-o", "p.npz", "-v"),
        ("compare", "q.npz", "p.npz", "x.npy"),
        ("export", "q.npz", "-o", "e.h5"),
        ("simulate", "p.npz", "x.npy", "-o", "y.npy"),
    )
    for command in commands:
        result = run(*command)
        assert result.exception is None or isinstance(result.exception, SystemExit), command
        shown = result.output.partition("from there on:")[0]  # a table follows
        assert max(map(len, shown.splitlines())) <= 100, (command, result.output)
