"""Compiled kernels of the ``fast`` backend, kept in the user's cache as machine code.

The kernels do not depend on programs. They are compiled once for each kind of processor and version
of the code; later processes load the machine code.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

import llvmlite
import llvmlite.binding
import numpy as np
from llvmlite import ir

from simulator.plan.fast import depthwise, finishes, measuring, moving, pooling, products, winograd
from simulator.plan.fast.code import WORD, Code
from simulator.plan.fast.code_cache import cache_file, cached, keep
from simulator.plan.fast.processor import Processor
from simulator.plan.fast.row import FIELDS
from simulator.plan.fast.vectors import Vectors

DRIVER = "run"
"""Name of the function that runs a table."""
OPTIMIZATION = 2
"""LLVM's level; higher ones take longer and are not faster here."""


class Kernels:
    """Kernels of one kind of processor.

    Attributes
    ----------
    processor : Processor
    vectors : Vectors
    """

    def __init__(self, processor: Processor):
        self.processor, self.vectors = processor, Vectors(processor)
        self._engine = _engine(processor)
        self._addresses: dict[str, int] = {}
        kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
        self._run = kind(self.address(DRIVER))

    def address(self, name: str) -> int:
        """Return the address of a kernel, or of a function that consumes sums."""
        if name not in self._addresses:
            self._addresses[name] = self._engine.get_function_address(name)
        return self._addresses[name]

    def run(self, table: np.ndarray) -> None:
        """Run the rows of a table, int64 (rows, fields), without Python's lock."""
        self._run(table.ctypes.data, len(table))

    def run_at(self, address: int, rows: int) -> None:
        """Run the rows of a table at an address."""
        self._run(address, rows)


@cache
def kernels(processor: Processor) -> Kernels:
    """Return the compiled kernels of a kind of processor."""
    return Kernels(processor)


def module(processor: Processor) -> ir.Module:
    """Write all kernels for a kind of processor."""
    written, vectors = ir.Module("kernels"), Vectors(processor)
    units = ("bytes", "words") if processor.dots else ("words",)
    for unit in units:
        products.convolve(written, vectors, unit)
        depthwise.convolve_channels(written, vectors, unit)
    winograd.convolve_tiles(written, vectors)
    for size in (1, 2):
        pooling.max_pool(written, vectors, size)
        for name in ("integers", "floats"):
            for counted in (False, True):
                finishes.finish(written, vectors, name, size, counted)
    for size in (2, 4):
        finishes.finish(written, vectors, "sums", size, False)
    finishes.totals(written, vectors)
    products.finish_rows(written)
    for source in moving.SOURCES:
        moving.scale(written, vectors, source)
        measuring.measure(written, vectors, source)
        for size in (1, 2):
            moving.copy(written, vectors, source, size)
    moving.clear(written, vectors)
    moving.zero(written, vectors)
    _driver(written)
    return written


def _driver(written) -> None:
    """Write the function that calls the kernel of each row of a table."""
    code = Code(written, DRIVER, ("table", "rows"), public=True)
    table, rows = code.arguments("table", "rows")
    with code.loop(0, rows) as row:
        address = table + row * (len(FIELDS) * WORD)
        code.call(code.load(address), address)
    code.finish()


def _engine(processor: Processor):
    """Return LLVM's engine with the kernels, from the cache if they are there."""
    llvmlite.binding.initialize_native_target()
    llvmlite.binding.initialize_native_asmprinter()
    place = cache_file(_traits(processor))
    found = cached(place)
    if found is None:
        print(
            f"compiling the kernels of backend 'fast' for this processor ({processor.name}); this"
            " takes some seconds, once",
            file=sys.stderr,
        )
        found = _compiled(processor)
        keep(place, found)
    empty = llvmlite.binding.parse_assembly("")
    engine = llvmlite.binding.create_mcjit_compiler(empty, _machine(processor))
    engine.add_object_file(llvmlite.binding.ObjectFileRef.from_data(found))
    engine.finalize_object()
    return engine


def _machine(processor: Processor):
    """Return LLVM's description of the processor to compile for."""
    target = llvmlite.binding.Target.from_default_triple()
    return target.create_target_machine(
        cpu=processor.cpu, features=processor.features, opt=OPTIMIZATION,
        reloc="pic", codemodel="jitdefault", jit=True,
    )  # fmt: skip


def _compiled(processor: Processor) -> bytes:
    """Return the kernels as machine code."""
    machine = _machine(processor)
    parsed = llvmlite.binding.parse_assembly(str(module(processor)))
    parsed.verify()
    options = llvmlite.binding.create_pipeline_tuning_options(speed_level=OPTIMIZATION)
    builder = llvmlite.binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(parsed, builder)
    return machine.emit_object(parsed)


def _traits(processor: Processor) -> tuple[str, ...]:
    """Return what the machine code depends on besides the code of this package."""
    triple = llvmlite.binding.get_default_triple()
    return llvmlite.__version__, triple, processor.name, processor.cpu, processor.features
