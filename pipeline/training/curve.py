"""The learning curve of a training, as a table and as a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from pipeline.files import write_csv

Course = Mapping[str, Sequence[float]]
VALIDATION = "val_"


def write_curve(path, history: Course) -> None:
    """Write one line per epoch; without epochs, only the header."""
    names = list(history) or ["loss", "accuracy", "val_loss", "val_accuracy"]
    rows = zip(*(history[name] for name in names), strict=True) if history else ()
    write_csv(path, ("epoch", *names), ((n, *row) for n, row in enumerate(rows, 1)))


def draw_curve(history: Course) -> bytes:
    """Return a PNG picture with one panel for each figure; equal input gives equal bytes.

    Parameters
    ----------
    history : mapping of str to sequence of float
        One value for each epoch. ``val_<name>`` is the same figure on images that the model is
        not trained on; both share a panel.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [name for name in history if not name.startswith(VALIDATION)] or ["loss"]
    figure = Figure(figsize=(4.8 * len(names), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for key, label in ((name, "training images"), (VALIDATION + name, "others")):
            if key in history:
                axes.plot(range(1, len(history[key]) + 1), history[key], marker=".", label=label)
        axes.set_title(name.replace("_", " "))
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        if history:
            axes.legend()
        else:
            axes.text(0.5, 0.5, "not trained", ha="center", va="center")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
    return buffer.getvalue()
