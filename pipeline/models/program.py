"""Open a program by its file, without what reads models."""

from __future__ import annotations

import zipfile
from pathlib import Path

from pipeline.errors import ModelError
from simulator import Program
from simulator.archive import DAMAGE, HEADER, archive_kind

PROGRAM = "program"
"""Kind of an archive that holds a program."""


def is_program(path) -> bool:
    """Return True if a file holds a program."""
    return Path(path).is_file() and archive_kind(path) == PROGRAM


def open_program(path) -> Program:
    """Return the program in a file.

    Raises
    ------
    ModelError
        If the file holds a model; the message names the command that leads to a program.
    """
    kind = archive_kind(path)
    if kind != PROGRAM:
        _refuse_model(path, kind)
    return Program.load(path)


def _refuse_model(path, kind: str | None) -> None:
    """Raise an error that names what a file holds, unless it is a damaged program.

    `kind` is that of its archive; None if it is none of ours.
    """
    # Imported for the message alone: reading models takes most of a second.
    from pipeline.importers import quantized_by
    from pipeline.quantization.archive import KIND

    if kind is None and Path(path).is_file():
        try:
            kind = "graph" if quantized_by(path) is None else KIND
        except ModelError:
            kind = None
    if kind is None and Path(path).exists() and not _has_header(path):
        raise ModelError(
            f"{path}: is not a program, or only a part of one; give the .npz file that"
            " 'crossgrade convert' writes"
        )
    convert = f"crossgrade convert {path if kind == KIND else 'Q.npz'} -o P.npz"
    if kind == KIND:
        raise ModelError(f"{path}: is a quantized model, not a program; make one of it: {convert}")
    if kind == "graph":
        raise ModelError(
            f"{path}: is a float model, not a program; make one of it: crossgrade quantize {path}"
            f" -o Q.npz, then {convert}"
        )


def _has_header(path) -> bool:
    """Return True for an archive of ours, whose content may be damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return HEADER in archive.namelist()
    except DAMAGE:
        return False
