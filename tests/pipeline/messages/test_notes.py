"""Notes: one line each, complete on request, preserved in files."""

import json

import numpy as np
import pytest

from pipeline.messages.lines import WIDTH, wrapped
from pipeline.messages.notes import (
    DEAD_CHANNELS,
    KINDS,
    LEFT_TO_HOST,
    SATURATION,
    WARNING,
    Note,
    program_lines,
    texts,
)
from pipeline.quantization.dead_channels import dead_channels


def test_notes_survive_json_and_bare_texts_become_notes():
    note = Note(kind=DEAD_CHANNELS, text="a", layers=("x", "y"), level=WARNING, details=("b",))
    assert Note.from_json(json.loads(json.dumps(note.as_dict()))) == note
    assert Note.from_json("older").text == "older" and not Note.from_json("older").is_warning
    assert texts([note]) == ("a",)


def ranges(**dead):
    """Return ranges of four channels per layer, of which the given number is 0."""
    return {name: np.repeat(np.float32([0, 1]), [n, 4 - n]) for name, n in dead.items()}


def test_many_layers_make_one_line_with_the_worst():
    found = {f"layer_{n}": n % 3 for n in range(1, 19)} | {"worst": 3}
    (note,) = dead_channels(ranges(**found))
    assert note.kind in KINDS and not note.is_warning
    assert note.text.startswith("21 of 52 channels in 13 layers are 0 for every calibration sample")
    assert "most in worst (3 of 4), layer_2 (2 of 4)" in note.text
    assert len(note.details) == len(note.layers) == 13
    assert "layer_1: 1 of 4 channels are 0 for every calibration sample" in note.details


def test_a_layer_without_any_output_is_a_warning():
    some, scalar = ranges(dead=4, live=0, half=2), {"scalar": np.float32(0)}
    (warning,) = dead_channels(some | scalar)
    assert warning.is_warning and warning.layers == ("dead", "half", "scalar")
    silent, partly = warning.text.split("; ", 1)[0], warning.text.rsplit("; ", 1)[-1]
    assert silent == "dead, scalar: the output is 0 for every calibration sample"
    assert partly == "half: 2 of 4 channels are 0 for every calibration sample"
    assert warning.details[-1] == "scalar: its output is 0 for every calibration sample"
    assert not list(dead_channels(ranges(live=0)))
    (alone,) = dead_channels(ranges(dead=4))
    assert alone.is_warning and alone.text.startswith("dead: the output is 0")


def test_a_program_keeps_the_models_notes_and_every_layers_line():
    (dead,) = dead_channels(ranges(a=1, b=2))
    measured = Note(kind=SATURATION, text="on 64 samples")
    cut = Note(kind=LEFT_TO_HOST, text="softmax")
    assert program_lines([cut, dead, measured]) == (
        "softmax",
        "a: 1 of 4 channels are 0 for every calibration sample",
        "b: 2 of 4 channels are 0 for every calibration sample",
    )


@pytest.mark.parametrize("first", ["", "warning: "])
def test_lines_fit_the_terminal_and_words_stay_whole(first):
    text = "with many words " * 30 + "a/very-long/name" * 10
    lines = wrapped(text, first).splitlines()
    assert all(len(line) <= WIDTH for line in lines[:-1])
    assert lines[0].startswith(first) and lines[-1].strip() == "a/very-long/name" * 10
    assert "".join(lines).replace(" ", "") == (first + text).replace(" ", "")
