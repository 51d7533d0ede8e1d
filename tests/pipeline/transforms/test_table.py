"""Everything that names transforms agrees with their table."""

import inspect
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest
import yaml

from pipeline.chips.check import check
from pipeline.chips.chip import chip, known_targets
from pipeline.config.sections import Transforms
from pipeline.transforms import TRANSFORMS, approximate, exact, gap, in_order
from pipeline.transforms.transform import APPROXIMATE, BY_STRATEGY, CALIBRATED, EQUIVALENT
from pipeline.transforms.transforms_page import page
from tests.pipeline.chips.models import MATRIX

ROOT = Path(__file__).parents[3]


def rules(target):
    found = chip(target)
    return {rule.name for rule in found.rules} | {limit.name for limit in found.limits.LIMITS}


def test_every_file_is_a_row():
    for package, kinds in ((exact, {EQUIVALENT}), (approximate, {APPROXIMATE, CALIBRATED})):
        names = {module.name for module in iter_modules(package.__path__)}
        assert names == {n for n, row in TRANSFORMS.items() if row.equivalence in kinds}
        for name in names:
            module = import_module(f"{package.__name__}.{name}")
            assert getattr(module, name) is TRANSFORMS[name].function
    moving = {n for n, row in TRANSFORMS.items() if row.equivalence == BY_STRATEGY}
    assert moving < {module.name for module in iter_modules(gap.__path__)}


@pytest.mark.parametrize("row", TRANSFORMS.values(), ids=TRANSFORMS)
def test_functions_take_the_arguments_of_their_row(row):
    wanted = ["graph", "options", "images"] if row.needs else ["graph"]
    assert list(inspect.signature(row.function).parameters) == wanted
    assert row.sentence.endswith(".") and "``" not in row.name
    assert set(row.needs) <= {"images", "labels", "training"}


def test_the_configuration_allows_all():
    allowed = Transforms.__dataclass_fields__["names"].metadata["allowed"]
    assert list(allowed) == list(TRANSFORMS)


@pytest.mark.parametrize("target", known_targets())
def test_repairs_are_one_sequence_everywhere(target):
    repairs = chip(target).repairs
    assert set(repairs) < set(TRANSFORMS)
    assert repairs == in_order(reversed(repairs))
    file = ROOT / f"conf/transforms/repair_{target.removeprefix('akida_')}.yaml"
    assert yaml.safe_load(file.read_text(encoding="utf-8"))["names"] == list(repairs)


@pytest.mark.parametrize("target", known_targets())
def test_repairs_repair_a_rule_of_the_chip(target):
    for name in chip(target).repairs:
        assert set(TRANSFORMS[name].repairs) & rules(target), name


def test_all_rules_that_are_repaired_exist():
    known = set().union(*map(rules, known_targets()))
    for row in TRANSFORMS.values():
        assert set(row.repairs) <= known, row.name


@pytest.mark.parametrize("target", known_targets())
def test_rules_name_the_transforms_that_repair_them(target):
    named = set()
    for model, *_ in MATRIX.values():
        for violation in check(model, target).violations:
            if violation.transform is not None:
                named.add((violation.transform, violation.rule))
    assert len(named) >= 5
    for transform, rule in named:
        assert rule in TRANSFORMS[transform].repairs


def test_the_page_is_made_from_the_table():
    written = (ROOT / "docs/transforms.md").read_text(encoding="utf-8")
    assert written == page(), "run: make docs"
