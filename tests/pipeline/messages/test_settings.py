"""Messages name settings by configuration key in the pipeline, and by option in commands."""

import ast
import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import click
import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from pipeline.cli.main import COMMANDS, LazyGroup, cli
from pipeline.cli.options import OPTIONS, PHRASES, SHARED, WITHOUT_OPTION, option_name
from pipeline.config.sections import Config
from pipeline.errors import CrossgradeError
from pipeline.graph.architecture import build_graph
from pipeline.graph.archive import save_graph
from pipeline.messages.settings import NO_VALUE, named_by, setting

ROOT = Path(__file__).parents[3]
CASE = ROOT.parent / "shared/cases/C07_temporal_defaults/m.h5"
SECTIONS = "data|model|training|transforms|quantization|target|evaluate"
DOTTED = re.compile(rf"\b(?:{SECTIONS})\.[a-z_]+(?:\.[a-z_]+)?")
PIPELINE_ONLY = ("config", "sweeps", "repro", "data", "training", "tracking", "models")
"""Packages whose messages no command prints."""
PIPELINE_MODULES = (
    *("evaluate.py", "shards.py", "shards_threads.py", "shards_processes.py", "shards_ray.py"),
)


def leaves(section=Config, prefix=""):
    """Yield the dotted name of every setting."""
    for field in fields(section):
        default = field.default_factory() if callable(field.default_factory) else field.default
        name = f"{prefix}{field.name}"
        if is_dataclass(default):
            yield from leaves(type(default), f"{name}.")
        else:
            yield name


IMPORT = yaml.safe_load((ROOT / "conf/model/import.yaml").read_text())
# The section of the model is free in its keys; those of a model from a file are settings as well.
NAMES = {
    *leaves(),
    *(
        f"model.{key}"
        for key in ("architecture", "input_dtype", "input_shape", "until")
        if key in IMPORT
    ),
    # Of the steps on own files, which have no configuration.
    *("calibration", "certificate", "images_b", "input_offset", "input_scale", "labels"),
    "reset_every",
    *("measuring.images", "measuring.labels", "search.budget", "search.max_loss"),
}


def modules():
    return sorted((ROOT / "pipeline").rglob("*.py"))


def shared(path):
    """Return True if commands print a module's messages."""
    parts = path.relative_to(ROOT / "pipeline").parts
    return parts[0] not in (*PIPELINE_ONLY, "cli") and path.name not in PIPELINE_MODULES


def texts(tree):
    """Yield strings of a module other than docstrings, and whether `setting` formats them."""
    named, documented = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setting":
            named.update(id(part) for part in ast.walk(node.args[0]))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            documented.add(id(node.value))
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) else None
        # Pages of the documentation (Markdown) may name both.
        if isinstance(text, str) and id(node) not in documented and not {"`", "\n"} & set(text):
            yield text, id(node) in named


def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def test_messages_that_commands_print_name_settings_by_the_function():
    checked = 0
    for path in filter(shared, modules()):
        for text, named in texts(parsed(path)):
            for name in DOTTED.findall(text):
                if name in NAMES and " " in text:
                    assert named, f"{path}: '{text}' names {name} itself"
                checked += named
    assert checked > 15


def test_every_setting_of_a_shared_message_has_a_name_for_commands():
    known = {*OPTIONS, *WITHOUT_OPTION, *(name for name, _ in PHRASES)}
    found = {
        text
        for path in filter(shared, modules())
        for text, named in texts(parsed(path))
        if named and not text.endswith(".")
    }
    assert found and found <= NAMES, found - NAMES
    assert found <= known, found - known
    assert known <= NAMES, known - NAMES


def test_no_message_of_the_pipeline_names_an_option():
    for path in modules():
        if "cli" not in path.parts:
            for text, _ in texts(parsed(path)):
                assert not re.search(
                    r"(?<!track)(?<!dvc cache dir)(?<!-o Q.npz)\s--[a-z]|^--[a-z]+: ", text
                ), f"{path}: {text}"


def test_every_option_exists():
    group = LazyGroup()
    owners = [(command, option) for command, option in OPTIONS.values()]
    owners += [(other, OPTIONS[name][1]) for name, others in SHARED.items() for other in others]
    for command, option in owners:
        assert command in COMMANDS
        parameters = group.get_command(None, command).params
        assert any(option in parameter.opts for parameter in parameters), (command, option)


@pytest.mark.parametrize(
    ("name", "value", "plain", "spoken"),
    [
        ("quantization.calibration.batch_size", NO_VALUE, "", "--batch-size"),
        ("quantization.calibration.batch_size", 1, "=1", "--batch-size 1"),
        ("quantization.per_tensor_activations", True, "=true", "--per-tensor"),
        ("quantization.last_output_bits", None, "=null", "an output that is not quantized"),
        ("quantization.flatten", "saturate", "=saturate", "--parity"),
        ("transforms.gap.strategy", "exact", "=exact", "--gap exact of 'crossgrade migrate'"),
    ],
)
def test_a_setting_in_both_languages(name, value, plain, spoken):
    assert setting(name, value) == name + plain
    with click.Context(click.Command("quantize"), info_name="quantize"), named_by(option_name):
        assert setting(name, value) == spoken
    assert setting(name, value) == name + plain


def crossgrade(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def temporal(path):
    layers = [
        {"Conv2D": {"filters": 3, "kernel_size": 3, "padding": "same"}},
        {"ReLU": {"max_value": 6.0}},
        {"BufferTempConv": {"filters": 4, "fifo_size": 3}},
        {"ReLU": {"max_value": 6.0}},
        {"GlobalAveragePooling2D": {}},
        {"Dense": {"units": 2}},
    ]
    graph = build_graph({"name": "video", "input": {"shape": [6, 6, 3]}, "layers": layers}, seed=0)
    save_graph(path, graph)
    return path


def test_defaults_quantize_a_temporal_model_and_refusals_name_options(tmp_path):
    model, frames = temporal(tmp_path / "video.npz"), tmp_path / "x.npy"
    np.save(frames, np.random.default_rng(0).integers(0, 256, (30, 6, 6, 3), np.uint8))
    for options in ((), ("--samples", frames), ("--samples", frames, "--batch-size", 10)):
        result = crossgrade("quantize", model, "-o", tmp_path / "q.npz", *options)
        assert result.exit_code == 0, result.exception
    result = crossgrade("quantize", model, "-o", tmp_path / "no.npz", "--batch-size", 100)
    message = str(result.exception)
    assert isinstance(result.exception, CrossgradeError)
    assert "found 1024 frames in batches of 100" in message
    assert "--batch-size 1 " in message and "--num-samples 1000" in message
    assert not DOTTED.search(message) and not (tmp_path / "no.npz").exists()


def test_notes_are_printed_once_where_they_arise(tmp_path):
    model = temporal(tmp_path / "video.npz")
    quantized, program = tmp_path / "q.npz", tmp_path / "p.npz"
    first = crossgrade("quantize", model, "-o", quantized)
    joined = " ".join(first.stderr.split())
    assert "warning: calibrated per channel on random samples" in joined
    assert "Set --per-tensor, or --samples" in joined and not DOTTED.search(joined)
    second = crossgrade("convert", quantized, "-o", program)
    assert "random samples" not in second.output
    plain, whole = (crossgrade("summary", program, *option).output for option in ((), ("-v",)))
    assert "random samples" not in plain and "random samples" in whole


@pytest.mark.skipif(not CASE.is_file(), reason="reference cases are not beside the repository")
def test_a_keras_file_with_a_temporal_layer(tmp_path):
    assert crossgrade("quantize", CASE, "-o", tmp_path / "q.npz").exit_code == 0
