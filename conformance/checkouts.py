"""Compare the outputs of two checkouts: ``python -m conformance.checkouts OLD NEW CASES...``.

Each case is a folder with a model and ``inputs.npy``. Both checkouts check, migrate, quantize,
convert and simulate it with their own code; all files that they write are compared byte by byte.
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
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        try:
            main()
        except SystemExit as stop:
            status = stop.code
    with open(name + ".log", "w") as file:
        file.write(f"exit status {status}\\n{text.getvalue()}")
"""
"""Script that runs one command per line: the name of its log file, then its arguments."""


def main(arguments=None) -> int:
    """Compare all cases; return 1 if a file differs or is lost."""
    parser = argparse.ArgumentParser(prog="python -m conformance.checkouts", description=__doc__)
    parser.add_argument("old", type=Path, help="checkout, with or without its own .venv")
    parser.add_argument("new", type=Path)
    parser.add_argument("cases", type=Path, nargs="+", help="folders that contain case folders")
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
    """Return the files that a checkout writes for a case: name to SHA-256, or to text of a log."""
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
    """Return the text of a log or the hash of a file; for archives, preceded by that of arrays."""
    if path.suffix == ".log":
        return path.read_text()
    if path.suffix == ".npz":
        with zipfile.ZipFile(path) as archive:
            arrays = {n: _hash(archive.read(n)) for n in archive.namelist() if n.endswith(".npy")}
        return f"{_hash(repr(sorted(arrays.items())).encode())} {_hash(path.read_bytes())}"
    return _hash(path.read_bytes())


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def commands(case: Path) -> Iterator[list[str]]:
    """Yield the commands that a user would run on a model: a name, then the arguments."""
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
    """Print the differences between two outcomes of a case, and count them.

    Returns
    -------
    Counter
        Numbers of files that are ``equal``, ``differ``, differ only in the ``header`` of their
        archive, are ``lost`` (only the old checkout writes them) or ``gained``, and of ``messages``
        that differ.
    """
    count = Counter()
    for name in sorted({*old, *new}):
        if name.endswith(".log"):
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
