"""Write a quantized model for other tools: ``crossgrade.export``, and the command's work."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from pipeline.steps.chip_program import ChipProgram
from pipeline.steps.conversion import converted
from pipeline.steps.python import issue, step
from pipeline.steps.reading import as_quantized, read

FORMAT, TARGET, CERTIFICATE = "export.formats", "target.name", "certificate"
ONNX = "onnx"


@step
def export(
    model: Any,
    path: Any,
    format: str | None = None,
    *,
    target: str | None = None,
    certificate: Any = None,
) -> Path:
    """Write a quantized model, or a program, in a format of other tools.

    The file holds every integer of the model, or none is written: nothing is quantized again.

    Parameters
    ----------
    model : QuantizedModel, ChipProgram, path-like or Keras model
    path : path-like
        File to write.
    format : {"quantizeml", "cnn2snn", "onnx"}, optional
        By default ``onnx`` for programs and files named ``.onnx``, else the model's scheme.
    target : str, optional
        Chip whose program becomes ONNX; by default the newest.
    certificate : path-like, optional
        Certificate of the migration that the model comes from: name the file and its hash there.
        The model is then the path of the quantized model, which the certificate names too.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ConfigError
        If the format is unknown, for another scheme or a model that is no program, or has another
        suffix than `path`.
    ModelError
        If the format cannot hold the model; names the layers.
    DataError
        If the certificate is of another model.
    """
    found = exported(model, path, format, target=target, certificate=certificate)
    issue(found.notes)
    return found.path


@dataclass(frozen=True, eq=False, kw_only=True)
class Exported:
    """A file that was written.

    Attributes
    ----------
    path : Path
    format, label : str
        Name of the format, and of the model.
    notes : tuple of Note
        On the form of the model in the file.
    """

    path: Path
    format: str
    label: str
    notes: tuple = ()


def exported(
    model: Any, path: Any, format: str | None = None, *, target=None, certificate=None
) -> Exported:
    """Write a model as `export` does; return what was written, with notes."""
    from pipeline.errors import ConfigError

    out, source = Path(path), Path(model) if isinstance(model, str | PathLike) else None
    if source is not None and out.resolve() == source.resolve():
        raise ConfigError(f"{out}: is the model itself; give another file to write")
    name = _checked_format(out, format)
    found = read(model)
    if isinstance(found, ChipProgram):
        return _program(found, out, name, target, certificate)
    return _model(as_quantized(found), source, out, name, target, certificate)


def _checked_format(path: Path, name: str | None) -> str | None:
    """Return the format, by the suffix where none is given; refuse the suffix of another one."""
    from pipeline.errors import ConfigError
    from pipeline.formats.table import EXPORTS
    from pipeline.messages.settings import setting

    if name not in (None, *EXPORTS):
        raise ConfigError(f"{setting(FORMAT)}: found {name!r}; allowed: {', '.join(EXPORTS)}")
    _check_suffix(path, [name] if name else EXPORTS)
    return ONNX if path.suffix == EXPORTS[ONNX].suffix else name


def _check_suffix(path: Path, formats: Iterable[str]) -> None:
    """Refuse a suffix by which no reader of the formats would know the file."""
    from pipeline.errors import ConfigError
    from pipeline.formats.table import EXPORTS

    suffixes = sorted({EXPORTS[name].suffix for name in formats})
    if path.suffix not in suffixes:
        raise ConfigError(f"{path}: allowed suffixes: {', '.join(suffixes)}")


def _program(found, path: Path, name, target, certificate) -> Exported:
    """Write a program as ONNX."""
    from pipeline.errors import ConfigError
    from pipeline.exporters.program_onnx import export_program_onnx
    from pipeline.formats.table import EXPORTS
    from pipeline.messages.settings import setting

    wrong = (
        (FORMAT, name, name not in (None, ONNX)),
        (TARGET, target, target not in (None, found.target)),
        (CERTIFICATE, certificate, certificate is not None),
    )
    if path.suffix != EXPORTS[ONNX].suffix:
        raise ConfigError(
            f"{path}: {found.name} is a program of {found.target}, which becomes ONNX only; allowed"
            " suffixes: .onnx, or give the quantized model"
        )
    if given := [setting(key, value) for key, value, is_wrong in wrong if is_wrong]:
        raise ConfigError(
            f"{', '.join(given)}: {found.name} is a program of {found.target}, which becomes ONNX"
            " only; leave this out, or give the quantized model"
        )
    export_program_onnx(path, found.program)
    return Exported(path=path, format=ONNX, label=f"{found.name} on {found.target}")


def _model(found, source: Path | None, path: Path, name, target, certificate) -> Exported:
    """Write a quantized model."""
    from pipeline.errors import ConfigError
    from pipeline.exporters.formats import export as export_integers
    from pipeline.messages.settings import setting
    from pipeline.migration.exports import CertifiedExport

    name = name or found.integers.scheme
    if target is not None and name != ONNX:
        raise ConfigError(f"{setting(TARGET, target)}: belongs to {setting(FORMAT, ONNX)}")
    if certificate is not None and source is None:
        raise ConfigError(
            f"{setting(CERTIFICATE)}: names the file of the quantized model too; save the model,"
            " and give its path"
        )
    program = None if target is None else converted(found.integers, target).program
    certified = None if certificate is None else CertifiedExport(certificate, found.integers)
    notes = export_integers(path, found.integers, name, program)
    if certified is not None:
        certified.add(source, path, name)
    return Exported(path=path, format=name, label=found.name, notes=notes)
