"""Hashes of the installed code, on which the stages of a project folder depend.

``python -m pipeline.project.code`` writes a file for each stage; a stage runs again where the code
that it runs changed, as in a checkout, where dvc.yaml lists that code.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from pipeline.files import ARTIFACTS, PACKAGES, shipped, tree_hash, write_text
from pipeline.repro.dependencies import RINGS

CODE = ARTIFACTS / "code"


def code_file(stage: str) -> Path:
    """Return the path of the file with a stage's hash, relative to the project folder."""
    return CODE / f"{stage}.txt"


def is_code(path: str) -> bool:
    """Return True if a dependency in dvc.yaml is code of crossgrade."""
    return path.split("/")[0] in RINGS


def code_hashes(stages: dict) -> dict[str, str]:
    """Return the hash of each stage's code, as installed.

    Parameters
    ----------
    stages : dict
        The stages of crossgrade's own dvc.yaml.
    """
    return {
        name: tree_hash(*(PACKAGES / path for path in stage["deps"] if is_code(path)))
        for name, stage in stages.items()
    }


def main() -> None:
    """Write the hashes; a file that stays the same is written all the same."""
    stages = yaml.safe_load(shipped("dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for name, found in code_hashes(stages).items():
        write_text(code_file(name), found)


if __name__ == "__main__":
    main()
