"""The wheel of this checkout, and Python environments that it is installed into."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1]
PARTS = ("conf", "pipeline", "simulator", "stages")
FILES = (
    "LICENSE",
    "MANIFEST.in",
    "README.md",
    "crossgrade.py",
    "dvc.yaml",
    "pyproject.toml",
    "setup.py",
)
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")


def build_wheel(folder):
    """Return the wheel, built from a copy, since a build writes into its sources."""
    copy = folder / "source"
    ignore = shutil.ignore_patterns("__pycache__")
    for name in PARTS:
        shutil.copytree(SOURCE / name, copy / name, ignore=ignore)
    for name in FILES:
        shutil.copy2(SOURCE / name, copy / name)
    out = folder / "wheel"
    run([*PIP, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", out, copy], folder)
    (wheel,) = out.glob("*.whl")
    return wheel


def install_into(folder, wheel):
    """Return the folder of packages with the wheel in it, to be put on PYTHONPATH."""
    run([*PIP, "install", "--quiet", "--no-deps", "--target", folder, wheel], folder.parent)
    return folder


def base_environment(folder, wheel):
    """Return the bin folder of a new environment: the wheel, and what it needs, from PyPI."""
    reached = subprocess.run(
        [*PIP, "download", "--quiet", "--no-deps", "--dest", folder / "reached", "click"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    if reached.returncode:
        pytest.skip(f"PyPI cannot be reached: {reached.stderr.strip().splitlines()[-1]}")
    run([sys.executable, "-m", "venv", folder / "base"], folder)
    programs = folder / "base" / "bin"
    run([programs / "python", "-m", "pip", "install", "--quiet", wheel], folder)
    return programs


def run(command, folder, *, status=0, **environment):
    """Run a command in a folder; return what it printed, errors last."""
    found = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={**clean(), **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert found.returncode == status, f"{command}: {found.stdout}{found.stderr}"
    return found.stdout + found.stderr


def clean():
    """Return this environment without what leads Python to the checkout."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
