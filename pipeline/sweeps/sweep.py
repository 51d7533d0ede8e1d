"""A sweep on disk: its folder, its identity, and resuming it."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline import files
from pipeline.errors import ConfigError
from pipeline.repro.dependencies import RINGS
from pipeline.repro.workspace import CODE, copy_code
from pipeline.sweeps.names import short_names
from pipeline.sweeps.outcome import NAME, Outcome, load_outcome
from pipeline.sweeps.running import forget_running
from pipeline.tracking.provenance import provenance

FOLDER, HEADER, FOLDER_OVERRIDE = "multirun", "sweep.json", "hydra.sweep.dir="
ONLY = "the only point"
"""Name of the point of a sweep in which nothing differs."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """One sweep.

    Attributes
    ----------
    key : str
        Unique; tags the sweep's run in MLflow.
    identity : str
        Equal for sweeps over the same values with the same code, with any launcher.
    overrides : tuple of str
        The user's overrides, without options of launchers and sweepers.
    objectives : tuple of str
        Metrics of stage evaluate that an optimizer gets, in order.
    store : str
        MLflow's address.
    root, folder : str
        Absolute paths of the repository and of the sweep.
    complete : bool
        Every point is finished or refused.
    tags : dict of str to str
        Source, commit and user when it began, see `pipeline.tracking.provenance`.
    """

    key: str
    identity: str
    overrides: tuple[str, ...]
    objectives: tuple[str, ...]
    store: str
    root: str
    folder: str
    complete: bool = False
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The varied values, then the fixed overrides."""
        varied = [o for o in self.overrides if is_choice(o)]
        fixed = [o for o in self.overrides if not is_choice(o)]
        return " ".join(("sweep", *_short(varied), *_short(fixed)))

    def point_name(self, changed: Mapping[str, str]) -> str:
        """Return a point's name: the values that differ between points."""
        keys = self._varied(changed)
        pairs = zip(short_names(keys), keys, strict=True)
        return " ".join(f"{short}={changed[key]}" for short, key in pairs) or ONLY

    def run_name(self, changed: Mapping[str, str]) -> str:
        """Return the name of a point's run: values first, since MLflow cuts it in its list."""
        keys = self._varied(changed)
        if not keys:
            return ONLY
        return f"{' '.join(changed[key] for key in keys)} ({' '.join(short_names(keys))})"

    def _varied(self, changed: Mapping[str, str]) -> list[str]:
        keys = [o.partition("=")[0].lstrip("+") for o in self.overrides if is_choice(o)]
        return [key for key in keys if key in changed] or list(changed)

    @property
    def points(self) -> Path:
        """Folder that holds a folder per point."""
        return Path(self.folder) / "points"

    @property
    def code(self) -> Path:
        """Snapshot of the code at the start of the sweep."""
        return Path(self.folder) / "code"

    @property
    def shared(self) -> Path:
        """Folder that holds a marker for each shared stage that has run."""
        return Path(self.folder) / "shared"

    @property
    def locks(self) -> Path:
        """Folder of locks shared by all sweeps of this repository."""
        return Path(self.root) / ".dvc" / "tmp" / "crossgrade"

    def outcomes(self) -> list[tuple[Path, Outcome]]:
        """Return the folder and the outcome of each point that has ended, in order."""
        folders = (path.parent for path in self.points.glob(f"*/{NAME}"))
        found = [(folder, load_outcome(folder)) for folder in folders]
        return sorted(found, key=lambda pair: (pair[1].number, pair[0].name))

    def save(self) -> None:
        """Write the header."""
        files.write_json(Path(self.folder) / HEADER, asdict(self))


def _short(overrides: Sequence[str]) -> list[str]:
    """Return overrides by the last parts of their names."""
    parts = [override.lstrip("+").partition("=") for override in overrides]
    names = short_names([name for name, _, _ in parts])
    return [f"{name}{equals}{value}" for name, (_, equals, value) in zip(names, parts, strict=True)]


def is_choice(override: str) -> bool:
    """Return whether an override has several values."""
    return bool(set(override.partition("=")[2]) & set(",("))


def load_sweep(folder) -> Sweep:
    """Load the sweep in `folder`, which may have been moved."""
    values = files.read_json(Path(folder) / HEADER)
    values |= {name: tuple(values[name]) for name in ("overrides", "objectives")}
    return replace(Sweep(**values), folder=str(Path(folder).resolve()))


def sweeps(root) -> list[Sweep]:
    """Return the sweeps of a repository, oldest first."""
    return [load_sweep(path.parent) for path in sorted((Path(root) / FOLDER).glob(f"*/{HEADER}"))]


@contextmanager
def open_sweep(
    root, overrides: Sequence[str], *, objectives: Sequence[str], store: str
) -> Iterator[tuple[Sweep, bool]]:
    """Start a sweep or resume an interrupted one, and hold its lock.

    Yields
    ------
    Sweep
    bool
        True if it is resumed.

    Raises
    ------
    ConfigError
        When the user's folder holds another sweep, or a running one.
    """
    root = Path(root).resolve()
    named = [o.removeprefix(FOLDER_OVERRIDE) for o in overrides if o.startswith(FOLDER_OVERRIDE)]
    mine = tuple(o for o in overrides if not o.lstrip("+").startswith("hydra"))
    identity = _identity(root, mine)
    candidates = [Path(named[-1])] if named else [Path(s.folder) for s in reversed(sweeps(root))]
    for folder in candidates:
        if not (folder / HEADER).is_file():
            continue
        found = load_sweep(folder)
        same = found.identity == identity
        if named and not same:
            raise ConfigError(
                f"hydra.sweep.dir: {folder} holds another sweep ({found.name}) or one of other "
                "code; name a new folder"
            )
        if not same or (found.complete and not named):
            continue
        lock = FileLock(folder / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if named:
                raise ConfigError(f"hydra.sweep.dir: the sweep in {folder} is running") from None
            continue
        with lock:
            yield replace(found, root=str(root), objectives=tuple(objectives), store=store), True
        return
    folder = _new_folder(root, named)
    with FileLock(folder / "lock"):
        sweep = Sweep(
            key=uuid.uuid4().hex,
            identity=identity,
            overrides=mine,
            objectives=tuple(objectives),
            store=store,
            root=str(root),
            folder=str(folder),
            tags=provenance(root),
        )
        copy_code(root, sweep.code)
        sweep.save()
        yield sweep, False


def is_running(sweep: Sweep) -> bool:
    """Return True if a process holds the sweep's lock."""
    try:
        with FileLock(Path(sweep.folder) / "lock", timeout=0):
            return False
    except Timeout:
        return True


def make_folders(sweep: Sweep) -> None:
    """Make the folders that points write to, and forget points that were killed."""
    forget_running(sweep.points)
    for folder in (sweep.points, sweep.shared, sweep.locks):
        folder.mkdir(parents=True, exist_ok=True)


def _identity(root: Path, overrides: Sequence[str]) -> str:
    places = [root / name for name in CODE]
    places += [files.PACKAGES / name for name in RINGS if not (root / name).exists()]
    code = files.tree_hash(*(place for place in places if place.exists()))
    return hashlib.sha256(json.dumps([sorted(overrides), code]).encode()).hexdigest()


def _new_folder(root: Path, named: list[str]) -> Path:
    if named:
        folder = Path(named[-1]).resolve()
        if folder.exists():
            shutil.rmtree(folder / "code", ignore_errors=True)  # started, and killed immediately
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    for suffix in ("", *(f"_{number}" for number in range(2, 1000))):
        folder = root / FOLDER / f"{stamp}{suffix}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise ConfigError(f"{root / FOLDER}: a thousand sweeps began this second; try again")
