"""Kinds of processors, and the cache of their machine code."""

import re

import pytest

from simulator.errors import ProgramError
from simulator.plan import compile_program, fast_is_available
from tests import builders
from tests.simulator.plan.comparison import VARIABLE

if not fast_is_available():
    pytest.skip("the extra 'fast' is not installed", allow_module_level=True)

import llvmlite.binding
import numpy as np

from simulator.plan.fast import code_cache, kernels
from simulator.plan.fast.processor import PROCESSORS, chosen


def program():
    return builders.integer_program(np.random.default_rng(0))


def test_the_best_kind_is_chosen(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert chosen() == next(kind for kind in PROCESSORS if not kind.missing)
    monkeypatch.setenv(VARIABLE, "any")
    assert chosen().name == "any"


def test_an_unknown_kind_is_refused(monkeypatch):
    monkeypatch.setenv(VARIABLE, "avx3")
    with pytest.raises(ProgramError, match="is 'avx3'; allowed: avx512-vnni, avx512, avx-vnni"):
        compile_program(program(), "fast")


def test_a_kind_that_this_processor_lacks_is_refused(monkeypatch):
    monkeypatch.setattr(llvmlite.binding, "get_host_cpu_features", dict)
    monkeypatch.setenv(VARIABLE, "avx2")
    with pytest.raises(ProgramError, match="'avx2'; this processor lacks avx2, fma"):
        compile_program(program(), "fast")


def test_code_is_kept_and_damaged_code_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    place = code_cache.cache_file(("one",))
    assert place.parent.parent == tmp_path and place != code_cache.cache_file(("two",))
    assert code_cache.cached(place) is None
    code_cache.keep(place, b"machine code")
    assert code_cache.cached(place) == b"machine code"
    place.write_bytes(place.read_bytes()[:-1])
    assert code_cache.cached(place) is None


def test_code_that_others_may_write_is_not_used(tmp_path):
    place = tmp_path / "kernels.o"
    code_cache.keep(place, b"machine code")
    place.chmod(0o666)
    assert code_cache.cached(place) is None


def test_without_a_cache_nothing_is_kept(tmp_path):
    (tmp_path / "file").write_text("no folder")
    code_cache.keep(tmp_path / "file" / "kernels.o", b"machine code")
    assert code_cache.cached(tmp_path / "file" / "kernels.o") is None


@pytest.mark.parametrize("kind", PROCESSORS, ids=lambda kind: kind.name)
def test_only_products_of_bytes_need_an_instruction_by_name(kind):
    named = set(re.findall(r"llvm\.x86[\w.]*", str(kernels.module(kind))))
    assert named == ({f"llvm.x86.avx512.vpdpbusd.{kind.bits}"} if kind.dots else set())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("triple", "machine"), [("aarch64-unknown-linux-gnu", 183), ("x86_64-unknown-linux-gnu", 62)]
)
def test_the_kind_any_compiles_for_other_processors(triple, machine):
    """Its code is only compiled here, not run: the self-test checks it where it runs."""
    llvmlite.binding.initialize_all_targets()
    llvmlite.binding.initialize_all_asmprinters()
    (anything,) = (kind for kind in PROCESSORS if kind.name == "any")
    target = llvmlite.binding.Target.from_triple(triple).create_target_machine(opt=1)
    parsed = llvmlite.binding.parse_assembly(str(kernels.module(anything)))
    parsed.triple = triple
    code = target.emit_object(parsed)
    # An ELF file names the machine in its second word.
    assert code[:4] == b"\x7fELF" and int.from_bytes(code[18:20], "little") == machine
