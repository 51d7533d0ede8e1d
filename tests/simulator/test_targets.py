"""Requirements on every target; a new chip's folder is tested here without an edit."""

import ast
import dataclasses
import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import simulator
from simulator import Program, ProgramError, simulate
from simulator.layer import Layer
from simulator.program import INPUT_TYPES
from simulator.statistics import Statistics
from simulator.summary import summary
from simulator.targets import known_targets, layer_types
from tests import builders

TARGETS = known_targets()
LAYERS = [
    pytest.param(cls, id=f"{target}-{name}")
    for target in TARGETS
    for name, cls in layer_types(target).items()
]
CASES = [
    pytest.param(target, index, id=f"{target}-{index}")
    for target in TARGETS
    for index in range(len(builders.PROGRAMS.get(target, ())))
]


@pytest.fixture
def case(request):
    """Return a program of a target and three inputs."""
    target, index = request.param
    rng = np.random.default_rng(index)
    program = builders.PROGRAMS[target][index](rng)
    return program, builders.images(rng, program, 3)


every_program = pytest.mark.parametrize(
    "case", [pytest.param(tuple(c.values), id=c.id) for c in CASES], indirect=True
)


def test_known_targets():
    assert tuple(sorted(TARGETS)) == TARGETS
    assert {"akida_v1", "akida_v2"} <= set(TARGETS)


def test_an_unknown_target_is_refused_by_name():
    with pytest.raises(ProgramError) as caught:
        layer_types("akida_v7")
    assert str(caught.value) == (f"unknown target 'akida_v7'; known targets: {', '.join(TARGETS)}")


@pytest.mark.parametrize("target", TARGETS)
def test_programs_of_a_target_contain_every_layer_type(target):
    makers = builders.PROGRAMS.get(target, ())
    rng = np.random.default_rng(0)
    held = {type(layer).__name__ for make in makers for layer in make(rng).layers}
    missing = set(layer_types(target)) - held
    assert not missing, f"add a maker with {missing} to builders.PROGRAMS['{target}']"


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_needs_numpy_and_the_standard_library_only(target):
    older = {name for name in TARGETS if name < target}
    for path in (Path(simulator.__file__).parent / target).glob("**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                top, *rest = name.split(".")
                assert top in {"numpy", "simulator", *sys.stdlib_module_names}, (path, name)
                if rest and rest[0].startswith("akida_"):
                    assert rest[0] in {target, *older}, (path, name)


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_is_documented_and_names_its_layers_once(target):
    module = importlib.import_module(f"simulator.{target}")
    assert module.__doc__
    assert len({cls.__name__ for cls in module.LAYERS}) == len(module.LAYERS)


@pytest.mark.parametrize("cls", LAYERS)
def test_a_layer_is_a_frozen_record_whose_registers_are_documented(cls):
    assert issubclass(cls, Layer)
    assert cls.__dataclass_params__.frozen and not cls.__dataclass_params__.eq
    docs = "\n".join(base.__doc__ or "" for base in cls.__mro__)
    for field in dataclasses.fields(cls):
        assert field.kw_only
        assert re.search(rf"^ *(\w+, )*{field.name}\b.* : ", docs, re.MULTILINE), field.name
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        cls(colour="red")


@every_program
def test_saving_and_loading_gives_the_same_bytes_and_outputs(case, tmp_path):
    program, images = case
    program.save(tmp_path / "first.npz")
    loaded = Program.load(tmp_path / "first.npz")
    loaded.save(tmp_path / "second.npz")
    program.save(tmp_path / "again.npz")
    first = (tmp_path / "first.npz").read_bytes()
    assert first == (tmp_path / "second.npz").read_bytes()
    assert first == (tmp_path / "again.npz").read_bytes()
    for before, after in zip(program.layers, loaded.layers, strict=True):
        assert type(before) is type(after)
        for field in dataclasses.fields(before):
            old, new = getattr(before, field.name), getattr(after, field.name)
            assert type(old) is type(new), field.name
            if isinstance(old, np.ndarray):
                assert old.dtype == new.dtype
            np.testing.assert_array_equal(old, new)
    np.testing.assert_array_equal(simulate(loaded, images), simulate(program, images))


@every_program
def test_outputs_have_the_declared_shapes_and_widths(case):
    program, images = case
    widths = {}

    def probe(layer, output):
        assert output.shape == (len(images), *layer.output_shape)
        assert (output.dtype.kind == "f") == layer.gives_floats
        widths[layer.name] = layer.output_width(*(widths[name] for name in layer.inputs))
        if widths[layer.name] is not None:
            bits, signed = widths[layer.name]
            low, high = (-(1 << (bits - 1)), 1 << (bits - 1)) if signed else (0, 1 << bits)
            assert low <= output.min() and output.max() < high

    outputs = simulate(program, images, batch_size=len(images), probe=probe)
    assert outputs.shape == (len(images), *program.output_shape)


@every_program
def test_a_run_does_not_change_images_and_registers(case):
    program, images = case
    kept = images.copy()
    registers = {
        (layer.name, field.name): np.copy(getattr(layer, field.name))
        for layer in program.layers
        for field in dataclasses.fields(layer)
        if isinstance(getattr(layer, field.name), np.ndarray)
    }
    first = simulate(program, images)
    np.testing.assert_array_equal(simulate(program, images), first)
    np.testing.assert_array_equal(images, kept)
    for (name, field), values in registers.items():
        np.testing.assert_array_equal(getattr(program.by_name[name], field), values)


@every_program
def test_summaries_statistics_and_limits_cover_every_layer(case):
    program, images = case
    text = summary(program)
    statistics = Statistics(program)
    simulate(program, images, statistics=statistics)
    figures = statistics.layers()
    for layer, figure in zip(program.layers, figures, strict=True):
        assert f"{layer.name} ({layer.type_label})" in text
        assert (figure.name, figure.type) == (layer.name, type(layer).__name__)
        weights = sum(
            value.size
            for field in dataclasses.fields(layer)
            if field.name.startswith("weights")
            and isinstance(value := getattr(layer, field.name), np.ndarray)
        )
        assert (figure.macs > 0) == (figure.weight_bytes > 0) == (weights > 0)
        assert figure.weight_bytes <= weights
    for sentence in program.limits():
        assert sentence.split(": ")[0] in program.by_name


def test_input_types_are_numpy_types():
    for name in INPUT_TYPES:
        assert np.dtype(name).name == name
