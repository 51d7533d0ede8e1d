"""The data set of a run as MLflow's input."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

DIGEST_LENGTH = 12


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """The images of a run.

    Attributes
    ----------
    name : str
    digest : str
        Equal for equal settings, and for equal files where the data are the user's own.
    source : dict
        The settings of the section ``data``.
    profile : dict
        Numbers of images.
    """

    name: str
    digest: str
    source: dict[str, str]
    profile: dict[str, int]


def data_set(params: Mapping[str, str], files: Mapping, metrics: Mapping[str, float]) -> DataSet:
    """Return the data set of a run.

    Parameters
    ----------
    params : mapping
        Every value of params.yaml by its dotted name.
    files : mapping
        Hashes of the user's own files, from stage ``inputs``; empty for packaged data.
    metrics : mapping
        Of stage ``build``: the numbers of images.
    """
    source = {key: value for key, value in params.items() if key.startswith("data.")}
    text = json.dumps([source, files], sort_keys=True)
    counts = {
        key.partition(".")[2]: int(value)
        for key, value in metrics.items()
        if key in ("build.train_images", "build.test_images")
    }
    return DataSet(
        name=params.get("data.name", "data"),
        digest=hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH],
        source=source,
        profile=counts,
    )
