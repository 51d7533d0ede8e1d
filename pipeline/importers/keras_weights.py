"""Files of weights only: ``model.save_weights``, with the architecture from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import ModelError
from pipeline.importers.hdf5 import DAMAGE, Group, read_hdf5, text_list
from pipeline.importers.keras_json import parse_json
from pipeline.messages.settings import setting

KEY = "model.architecture"


def no_architecture() -> str:
    """Return what to do about a file of weights only."""
    return (
        "it has no model_config (weights only?); save the whole model with model.save(...), or"
        f" give its layers by {setting(KEY, 'model.json')} (from model.to_json()) or"
        f" {setting(KEY, 'NAME')}"
    )


def own_architecture() -> str:
    """Return what to do about an architecture for a file that has one."""
    return f"has an architecture of its own; leave {setting(KEY)} out"


def given_architecture(architecture: str | None, label: str) -> dict:
    """Return the model configuration in a JSON file, or of an architecture of crossgrade.

    Parameters
    ----------
    architecture : str or None
        Path of a ``.json`` file, or a name from `zoo_names` with parameters after spaces.
    label : str
        Name of the file of weights.

    Raises
    ------
    ModelError
        Where nothing is given, or it is no architecture.
    """
    if architecture is None:
        raise ModelError(f"{label}: {no_architecture()}")
    path = Path(architecture)
    if path.suffix == ".json" or path.is_file():
        try:
            return parse_json(path.read_bytes(), architecture)
        except OSError as error:
            raise ModelError(f"{architecture}: cannot be read ({error.strerror})") from error
    from pipeline.exporters.keras2 import keras2_model
    from pipeline.graph.architecture import build_graph
    from pipeline.graph.architecture_file import read_architecture

    name, *parameters = architecture.split()
    return keras2_model(build_graph(read_architecture(name, parameters)))


def check_all_known(stored: Iterable[str], known: Iterable[str], label: str, given: str) -> None:
    """Raise if a file has weights of layers that its architecture lacks.

    Parameters
    ----------
    stored, known : iterable of str
        Layers with weights in the file; layers of the architecture.
    label, given : str
        The file, and the architecture as the user gave it.
    """
    if unknown := sorted(set(stored) - set(known)):
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise ModelError(
            f"{label}: has weights of {', '.join(unknown[:5])}{more}, which {given} lacks; give the"
            " architecture that the weights were saved from"
        )


def weights_by_layer(content: bytes, root: Group, label: str) -> Group | None:
    """Return the groups of all layers of a file of Keras 2; None if it is of Keras 3.

    Parameters
    ----------
    content : bytes
        The file.
    root : Group
        Its root, of which the attributes are read.
    label : str
    """
    try:
        names = text_list(root, "layer_names")
    except DAMAGE:
        names = []
    if not names:
        return None
    return read_hdf5(content, label, sorted({name.partition("/")[0] for name in names}))
