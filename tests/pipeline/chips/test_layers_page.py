"""docs/targets.md agrees with the code."""

import importlib
from pathlib import Path

import pytest

from pipeline.chips import known_targets
from pipeline.chips.layers_page import COLUMNS, document
from simulator.targets import layer_types

PAGE = Path(__file__).parents[3] / "docs/targets.md"


def limits(target):
    return importlib.import_module(f"simulator.{target}.limits")


def supported(target):
    return importlib.import_module(f"simulator.{target}.supported")


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == document(), "run: make docs"


@pytest.mark.parametrize("target", known_targets())
def test_every_layer_with_weights_has_its_limits(target):
    module, layers = supported(target), layer_types(target)
    assert set(module.SUPPORTED) <= set(layers)
    for name, kind in layers.items():
        if "weights" in kind.__dataclass_fields__:
            assert {"input bits", "weight bits", "output bits"} <= set(module.SUPPORTED[name])
    for row in module.SUPPORTED.values():
        assert set(row) <= set(COLUMNS)
    assert limits(target).SOURCE and module.NOTES


@pytest.mark.parametrize("target", known_targets())
def test_every_layer_is_on_the_page(target):
    section = document().split(f"## {target}\n")[1].split("\n## ")[0]
    for name in layer_types(target):
        assert section.count(f"| `{name}` |") == 2


def test_tables_are_complete():
    width = 0
    for line in document().splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        assert line.count("|") == (width or line.count("|")), line
        width = line.count("|")
        assert "``" not in line


def test_numbers_come_from_the_constants():
    """The page shows the constants that the checks compare with."""
    page = document()
    one, two = limits("akida_v1"), limits("akida_v2")
    for words in (
        f"up to {one.INPUTS} values",
        f"at least {one.INPUT_FIRST} by {one.INPUT_SECOND[0]} to {one.INPUT_SECOND[1]}",
        f"act_step of {one.REGISTERS[False][0]} bits",
        f"up to {two.INPUTS} values",
        f"up to {two.AVERAGE_PIXELS} pixels",
        f"{two.FIFO[0]} to {two.FIFO[1]} frames",
    ):
        assert words in page
