"""The code that each stage of dvc.yaml depends on: what it imports, directly or through others."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

RINGS = ("stages", "pipeline", "simulator")
PLUMBING = (
    "pipeline/config",
    "pipeline/ending.py",
    "pipeline/errors.py",
    "pipeline/files.py",
    "pipeline/packages.py",
    "pipeline/progress.py",
    "pipeline/stage.py",
    "simulator/errors.py",
    "simulator/atomic_file.py",
)
"""Code that moves values and messages and decides no result: a change there reruns no stage.
Values of the configuration are ``params`` of a stage."""
COMPOSER = {"compose": ["pipeline/config"]}
"""The one stage whose result is the configuration."""
BY_NAME = {"import_module", "iter_modules"}
"""Functions that import modules by a computed name."""


def stage_code(root, stage: str) -> list[str]:
    """Return the code that a stage depends on, as dvc.yaml lists it.

    Modules are listed as their room: the folder below a ring (``pipeline/graph``), the file where
    a module lies in the ring itself, or the ring where every room of it is needed.

    Parameters
    ----------
    root : path-like
        The folder that holds the three rings.
    stage : str
        Name of the stage; its module is ``stages/<stage>.py``.

    Returns
    -------
    list of str
        Sorted paths relative to `root`, without `PLUMBING`.
    """
    rooms = {_room(path) for path in import_closure(root, f"stages/{stage}.py")}
    for ring in RINGS:
        whole = {_room(path) for path in _modules(Path(root), ring)} - set(PLUMBING)
        if whole <= rooms:
            rooms = rooms - whole | {ring}
    return sorted([*rooms, *COMPOSER.get(stage, [])])


def import_closure(root, path: str) -> set[str]:
    """Return the paths of a module and of all that it imports, also inside functions.

    A module that imports others by a computed name depends on all modules of its package. A
    package's ``__init__.py`` counts where a name is imported from it. `PLUMBING` is left out, and
    what only plumbing imports.
    """
    root, found, left = Path(root), set(), [path]
    while left:
        path = left.pop()
        if path not in found and _room(path) not in PLUMBING:
            found.add(path)
            left += _imported(root, path)
    return found


def update(root) -> list[str]:
    """Rewrite the code dependencies in dvc.yaml; return the stages that changed."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 100
    path = Path(root) / "dvc.yaml"
    content = yaml.load(path.read_text(encoding="utf-8"))
    changed = []
    for name, stage in content["stages"].items():
        if (deps := with_code(root, name, stage["deps"])) != list(stage["deps"]):
            stage["deps"][:] = deps
            changed.append(name)
    if changed:
        with path.open("w", encoding="utf-8") as file:
            yaml.dump(content, file)
    return changed


def with_code(root, stage: str, deps: list[str]) -> list[str]:
    """Return the dependencies of a stage with its code as it is now; other paths are kept."""
    kept = [path for path in deps if path.split("/")[0] not in RINGS]
    return sorted([*kept, *stage_code(root, stage)])


def _room(path: str) -> str:
    return "/".join(path.split("/")[:2])


def _modules(root: Path, folder: str) -> list[str]:
    return [file.relative_to(root).as_posix() for file in sorted((root / folder).rglob("*.py"))]


def _imported(root: Path, path: str) -> Iterator[str]:
    tree = ast.parse((root / path).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield from _files(root, name.name)
        elif isinstance(node, ast.ImportFrom):
            for name in node.names:
                yield from _files(root, f"{node.module}.{name.name}")
        elif isinstance(node, ast.Call) and _called(node) in BY_NAME:
            yield from _modules(root, path.rpartition("/")[0])


def _called(node: ast.Call) -> str | None:
    return getattr(node.func, "attr", getattr(node.func, "id", None))


def _files(root: Path, dotted: str) -> Iterator[str]:
    """Yield the module that a dotted name is, or else the one that defines it."""
    parts = dotted.split(".")
    for stem in ("/".join(parts), "/".join(parts[:-1])) if parts[0] in RINGS else ():
        found = [path for path in (f"{stem}.py", f"{stem}/__init__.py") if (root / path).is_file()]
        if found:
            yield found[0]
            return


if __name__ == "__main__":
    stages = update(Path.cwd())
    print(f"dvc.yaml: {'rewrote ' + ', '.join(stages) if stages else 'up to date'}")
