"""Migrate a float model to another chip: ``crossgrade.migrate``, and the command's work."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.messages.lines import counted
from pipeline.steps.float_model import FloatModel
from pipeline.steps.migration_choices import Chosen
from pipeline.steps.migration_task import Task, prepare
from pipeline.steps.python import step
from pipeline.steps.source import Source

SAMPLES = "samples.npy"
"""Images from memory, in the folder of the certificate."""
UNMEASURED = "ranges were measured on random images; give images of the model by {}"


class Migrated:
    """A migrated model, and what changed.

    Attributes
    ----------
    task : Task
        The original model, images and options.
    migration : pipeline.migration.Migration
        Both graphs, the steps, and the comparison of all layers.
    """

    def __init__(self, task: Task, migration: Any):
        self.task, self.migration = task, migration

    def __repr__(self) -> str:
        return f"<Migrated {self.model.name!r} to {self.migration.target}: {self.equivalence}>"

    @cached_property
    def model(self) -> FloatModel:
        """The migrated model."""
        return FloatModel(self.migration.after)

    @property
    def equivalence(self) -> str:
        """``exact``, ``float noise``, ``exact on the calibrated range`` or ``approximate``."""
        return self.migration.equivalence

    @property
    def notes(self) -> tuple:
        """How the model was read, and warnings about the result."""
        from pipeline.messages.notes import LIMITS, WARNING, Note

        texts = ((LIMITS, text) for text in self.warnings())
        found = (Note(kind=kind, level=WARNING, text=text) for kind, text in texts)
        return (*self.task.notes, *found)

    def warnings(self) -> list[str]:
        """Return what a user should act on: unmeasured ranges, exceeded limits."""
        from pipeline.messages.settings import setting
        from pipeline.migration.compare import CALIBRATED

        found = []
        if self.task.chosen.samples is None and self.equivalence == CALIBRATED:
            found.append(UNMEASURED.format(setting("calibration")))
        if limits := len(self.migration.check_after.hardware):
            what = "limit is" if limits == 1 else "limits are"
            found.append(f"{limits} hardware {what} exceeded, see the certificate")
        return found

    def lines(self, name: str) -> list[str]:
        """Return what was done and measured, a line each; `name` is that of the new model."""
        found = self.migration.outputs
        lines = [
            f"{entry['transform']}: {counted(len(entry['changed']), 'layer')},"
            f" {entry['equivalence']} (largest difference {entry['max_abs_difference']:.3g})"
            for entry in self.migration.steps
        ]
        lines.append(
            f"{name}: {self.migration.check_after.verdict} with {self.migration.target},"
            f" {self.equivalence}; on {len(self.task.images)} samples largest difference"
            f" {found['max_abs_difference']:.3g}, agreement {found['agreement']:.2%}"
        )
        if "accuracy_before" in found:
            before, after = found["accuracy_before"], found["accuracy_after"]
            lines.append(f"accuracy {before:.4f} before, {after:.4f} after")
        return lines

    def summary(self) -> None:
        """Print each transform, and how far both models differ."""
        from pipeline.messages.lines import wrapped_lines

        print(wrapped_lines("\n".join(self.lines(self.model.name))))

    def predict(self, x: Any) -> np.ndarray:
        """Return the outputs of the migrated model, as `FloatModel.predict`."""
        return self.model.predict(x)

    def evaluate(self, x: Any, y: Any) -> dict[str, float]:
        """Return how well the migrated model's outputs fit labels, as `FloatModel.evaluate`."""
        return self.model.evaluate(x, y)

    @step
    def save(self, path: Any, *, report: Any = None, rest: Any = None) -> Path:
        """Write the migrated model, and a certificate, which `crossgrade.verify` recomputes.

        Parameters
        ----------
        path : path-like
            ``.h5``, ``.keras``, ``.onnx`` or ``.npz``, as in `FloatModel.save`.
        report : path-like, optional
            Folder of the certificate; by default `path` with ``_certificate`` in place of the
            suffix. A model and images that came from memory are copied there.
        rest : path-like, optional
            File of the host's part, if the model ended at ``until``; by default beside `path`.

        Returns
        -------
        Path
            The folder of the certificate.
        """
        from pipeline.host.split import rest_path, write_rest
        from pipeline.migration.read_back import read_back
        from pipeline.models.file import check_suffix, write_float

        out = Path(path)
        folder = Path(report) if report else out.with_name(f"{out.stem}_certificate")
        check_suffix(out)
        beside = rest_path(self.task.cut, out, rest)

        def accept(written) -> None:
            read_back(written, self.migration.after, self.migration.samples)
            if beside is not None:
                write_rest(self.task.cut, beside)
            # The model is renamed last, so that it never exists without a certificate.
            self._certify(out, written, folder, beside)

        write_float(out, self.migration.after, accept)
        return folder

    def _certify(self, out: Path, written, folder: Path, beside) -> None:
        from pipeline.files import write_bytes, write_json
        from pipeline.host.split import describe_split
        from pipeline.migration import make_certificate
        from pipeline.migration.certificate import NAME, PAGE, describe_samples
        from pipeline.migration.page import page
        from pipeline.migration.recovery import SEED

        task = self.task
        described = describe_samples(
            task.measured,
            source=self._samples_file(folder),
            seed=SEED,
            labels=task.classes,
            folder=folder,
        )
        certificate = make_certificate(
            self.migration,
            model=self._model_file(folder),
            output=out,
            written=written,
            folder=folder,
            samples=described,
            recovery=task.recovery,
            wanted=task.wanted,
            images=task.certified,
            split=None if task.cut is None else describe_split(task.cut, beside, folder),
        )
        write_json(folder / NAME, certificate)
        write_bytes(folder / PAGE, page(certificate).encode())

    def _model_file(self, folder: Path) -> Path:
        """Return the original model's file; one of memory is copied beside the certificate."""
        source = self.task.source
        if not source.is_copy:
            return source.path
        folder.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy2(source.path, folder))

    def _samples_file(self, folder: Path) -> Any:
        """Return the images' file; those of memory are written beside the certificate."""
        from pipeline.data.array_file import save_array

        samples = self.task.chosen.samples
        if samples is None or isinstance(samples, str | PathLike):
            return samples
        save_array(folder / SAMPLES, self.task.measured)
        return folder / SAMPLES


@step
def migrate(
    model: Any,
    target: str = "akida_v2",
    *,
    samples: Any = None,
    labels: Any = None,
    num_samples: int = 256,
    gap: str = "exact",
    recalibrate: str = "bn_ridge",
    input_shape: Sequence[int] | None = None,
    until: str | Sequence[str] = (),
    architecture: str | None = None,
    input_scale: float | Sequence[float] | None = None,
    input_offset: float | Sequence[float] | None = None,
    input_dtype: str = "auto",
    clip: bool = False,
    max_accuracy_drop: float | None = None,
) -> Migrated:
    """Migrate a float model to another chip: check, transform, verify on images, check again.

    Parameters
    ----------
    model : path-like, str, mapping, Keras model or FloatModel
        As in `crossgrade.read`. Of a model that QuantizeML or cnn2snn quantized the float model is
        recovered.
    target : str
        Name of the chip: ``akida_v1`` or ``akida_v2``.
    samples : array of shape (n, *input shape) or path of a .npy file, optional
        Images to verify and calibrate on; random ones without it.
    labels : int array of shape (n,) or path, optional
        Their classes, to measure accuracy.
    num_samples : int
        Images to compare both models on.
    gap : {"exact", "relocate", "distill", "finetune"}
        How to move a global average after ReLU; the last two train in TensorFlow.
    recalibrate : {"bn_ridge", "none", "bn", "ridge"}
        Compensation, except with ``gap="exact"``.
    input_shape, until, architecture
        As in `crossgrade.read`. Of a model that ends at `until`, `Migrated.save` also writes the
        rest.
    input_scale, input_offset : float, or one for each channel, optional
        The model was trained on pixels divided by the scale, and with the offset added: it then
        takes uint8 pixels.
    input_dtype : {"auto", "uint8", "int8", "float32"}
        Images that a model of float inputs takes. ``auto`` takes integers where its Rescaling
        expects pixels, or the samples are integers.
    clip : bool
        Raise the maximum of ReLU6 to a power of two.
    max_accuracy_drop : float, optional
        Largest loss of accuracy to accept.

    Returns
    -------
    Migrated

    Raises
    ------
    IncompatibleModelError
        If layers cannot be migrated; lists all of them, with the largest part that can.
    ConfigError, DataError, ModelError
        If options lack others, images do not fit the model, or it loses too much accuracy.
    """
    from pipeline.models.wanted import Wanted

    chosen = Chosen(
        samples=samples,
        labels=labels,
        num_samples=num_samples,
        gap=gap,
        recalibrate=recalibrate,
        input_scale=input_scale,
        input_offset=input_offset,
        input_dtype=input_dtype,
        clip=clip,
        max_accuracy_drop=max_accuracy_drop,
    )
    sizes = None if input_shape is None else tuple(input_shape)
    wanted = Wanted(input_shape=sizes, until=until, architecture=architecture)
    task = prepare(source_of(model), target, chosen, wanted)
    return Migrated(task, task.run())


def source_of(model: Any) -> Source:
    """Return the file of a model; one that is only in memory is written to a temporary file."""
    from collections.abc import Mapping

    from pipeline.graph.architecture_file import is_architecture
    from pipeline.steps.keras_object import is_keras
    from pipeline.steps.reading import as_float

    named = isinstance(model, str) and is_architecture(model)
    if named or isinstance(model, Mapping | FloatModel):
        return as_float(model).source
    if isinstance(model, str | PathLike) or is_keras(model):
        return Source.of(model)
    return as_float(model).source
