"""The reference pages that `make docs` generates: current, and without gaps."""

import re
import typing
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
import yaml

from pipeline.cli import commands_page
from pipeline.cli.main import COMMANDS
from pipeline.config import configuration_page
from pipeline.config.layer_widths import LayerWidths
from pipeline.config.overrides import dotted_names
from pipeline.config.sections import Config
from pipeline.graph import architecture_page
from pipeline.graph.architecture import build_graph
from pipeline.graph.blocks import BLOCKS
from pipeline.graph.parameters import KEYS

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {
    "architecture.md": architecture_page.page,
    "commands.md": commands_page.page,
    "configuration.md": configuration_page.page,
}


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_current(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")  # the page does not depend on the terminal
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), "run 'make docs'"


def sections(section=Config):
    yield section
    for hint in typing.get_type_hints(section).values():
        if is_dataclass(hint):
            yield from sections(hint)


@pytest.mark.parametrize("section", [*sections(), LayerWidths], ids=lambda kind: kind.__name__)
def test_every_key_says_what_it_means(section):
    described = configuration_page.meanings(section)
    hints = typing.get_type_hints(section)
    assert set(described) >= {field.name for field in fields(section)} - {"model"} or (
        section is Config  # whose sections have titles of their own
    )
    assert all(described[name] for name in described if not is_dataclass(hints[name]))


def test_every_key_of_the_configuration_is_on_its_page():
    text = configuration_page.page()
    for name in dotted_names(Config):
        assert name == "model" or f"\n| `{name}` | " in text
    for folder in (DOCS.parent / "conf").iterdir():
        for path in folder.glob("*.yaml") if folder.is_dir() else ():
            assert re.search(rf"^\| `{folder.name}={path.stem}` \| \w", text, re.MULTILINE), path


def test_every_command_and_option_is_on_its_page():
    text = commands_page.page()
    for name in COMMANDS:
        assert f"\n## crossgrade {name}\n" in text
    options = re.findall(r"^\| `--?.*\|$", text, re.MULTILINE)
    assert len(options) > 80
    silent = [row for row in options if row.endswith("|  |") or "| [" in row]
    assert silent == [], "options without help"


def test_every_block_option_and_key_is_on_the_page_of_architectures():
    text = architecture_page.page()
    assert set(architecture_page.EXAMPLES) == set(BLOCKS)
    for name, block in BLOCKS.items():
        part = text.partition(f"### `{name}`")[2].partition("###")[0]
        for option in (*block.required, *block.options):
            assert f"\n| `{option}` | " in part
    assert all(f"\n| `{key}` | " in text for key in KEYS)


def test_the_example_of_an_architecture_is_one():
    text = architecture_page.page().partition("    name: my_model\n")
    lines = (text[1] + text[2]).partition("\n\n")[0].splitlines()
    graph = build_graph(yaml.safe_load("\n".join(line[4:] for line in lines)))
    assert [node.op for node in graph.nodes].count("Conv2D") == 3
    assert graph.shapes[graph.output] == (10,)
