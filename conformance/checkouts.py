"""Compare what two checkouts make of the same models: ``python -m conformance.checkouts OLD NEW``.

Each case is a folder with a model and ``inputs.npy``. Both checkouts check, migrate, quantize,
convert and simulate it with their own code; every file that they write is compared byte by byte.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

MODELS = ("model.h5", "model.keras", "model.onnx")
TARGETS = ("akida_v1", "akida_v2")
WIDTHS = {
    "w8a8": (),
    "w4a4": ("-w", "4", "-a", "4"),
    "tensor": ("-w", "4", "-a", "4", "--per-tensor"),
    "legacy": ("--scheme", "cnn2snn", "-w", "4", "-a", "4"),
    "parity": ("--parity",),
}
RUN = """
import contextlib, io, sys
from pipeline.cli import main
for line in sys.stdin.read().splitlines():
    name, *sys.argv[1:] = line.split("\\t")
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            main()
        except SystemExit as stop:
            status = stop.code
    with open(name + ".said", "w") as file:
        file.write(f"exit status {status}\\n{said.getvalue()}")
"""
"""Runs commands, one a line: the name of a text file for their output, then their arguments."""


def main(arguments=None) -> int:
    """Compare all cases; return 1 when a file differs or is lost."""
    parser = argparse.ArgumentParser(prog="python -m conformance.checkouts", description=__doc__)
    parser.add_argument("old", type=Path, help="checkout with its own .venv, or none")
    parser.add_argument("new", type=Path)
    parser.add_argument("cases", type=Path, nargs="+", help="folders of folders with a model")
    options = parser.parse_args(arguments)
    total = Counter()
    for case in _cases(options.cases):
        found = [outcome(checkout.resolve(), case) for checkout in (options.old, options.new)]
        count = compare(case.name, *found)
        total += count
        print(f"{case.name}: {_text(count)}", flush=True)
    print(f"\nall: {_text(total)}")
    return 1 if total["differ"] or total["lost"] else 0


def _cases(folders) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in sorted(folder.resolve().iterdir()) if _model(path))


def _model(case: Path) -> Path | None:
    return next((case / name for name in MODELS if (case / name).is_file()), None)


def outcome(checkout: Path, case: Path) -> dict[str, str]:
    """Return each file that a checkout makes of a case with its hash, ``.said`` ones as text."""
    python = checkout / ".venv/bin/python"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [python if python.exists() else sys.executable, "-c", RUN],
            input="\n".join("\t".join(line) for line in commands(case)),
            cwd=folder,
            env={"PYTHONPATH": str(checkout), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
            text=True,
            check=True,
        )
        files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): _content(path) for path in files}


def _content(path: Path) -> str:
    """Return a text, or the hash of a file; for archives, first the hash of the arrays alone."""
    if path.suffix == ".said":
        return path.read_text()
    if path.suffix == ".npz":
        with zipfile.ZipFile(path) as archive:
            arrays = {n: _hash(archive.read(n)) for n in archive.namelist() if n.endswith(".npy")}
        return f"{_hash(repr(sorted(arrays.items())).encode())} {_hash(path.read_bytes())}"
    return _hash(path.read_bytes())


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def commands(case: Path) -> Iterator[list[str]]:
    """Yield the commands that a user would try on a model: a name, then the arguments."""
    model, images = str(_model(case)), str(case / "inputs.npy")
    yield ["describe", "describe", model]
    for target in TARGETS:
        yield [f"check-{target}", "check", model, "--target", target, "--json"]
        new, report = f"migrated-{target}.h5", f"certificate-{target}"
        out = ["-o", new, "--report", report, "--target", target]
        yield [f"migrate-{target}", "migrate", model, *out, "--calibration", images]
        yield from _run(f"file-{target}", model, images, target)
    for source in ("original", *TARGETS):
        path = model if source == "original" else f"migrated-{source}.h5"
        for name, options in WIDTHS.items():
            made = f"{source}-{name}.npz"
            yield [made, "quantize", path, "--samples", images, "-o", made, *options]
            for target in TARGETS:
                yield from _run(f"{source}-{name}-{target}", made, images, target)


def _run(name: str, quantized: str, images: str, target: str) -> Iterator[list[str]]:
    program = f"{name}.program.npz"
    yield [f"{name}-convert", "convert", quantized, "-o", program, "--target", target]
    yield [f"{name}-summary", "summary", program]
    outputs = ["-o", f"{name}.y.npy", "--trace", f"{name}.trace.npz"]
    yield [f"{name}-simulate", "simulate", program, images, *outputs]


def compare(case: str, old: dict[str, str], new: dict[str, str]) -> Counter:
    """Print what differs between two outcomes of a case, and count.

    Returns
    -------
    Counter
        Files that are ``equal``, ``differ`` or differ in the ``header`` of their archive only; are
        ``lost`` (only the old checkout makes them) or ``gained``; and ``messages`` that differ.
    """
    count = Counter()
    for name in sorted({*old, *new}):
        if name.endswith(".said"):
            count["messages"] += old[name] != new[name]
            continue
        kind = _kind(old.get(name), new.get(name))
        count[kind] += 1
        if kind in ("differ", "lost"):
            print(f"  {case}: {name}: {kind}")
    return count


def _kind(old: str | None, new: str | None) -> str:
    if old is None or new is None:
        return "lost" if new is None else "gained"
    if old == new:
        return "equal"
    return "header" if " " in old and old.split()[0] == new.split()[0] else "differ"


def _text(count: Counter) -> str:
    kinds = ("equal", "header", "differ", "lost", "gained")
    files = ", ".join(f"{count[kind]} {kind}" for kind in kinds)
    return f"files: {files}; {count['messages']} messages differ"


if __name__ == "__main__":
    sys.exit(main())
