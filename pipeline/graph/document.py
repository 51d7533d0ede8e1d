"""The page of the architectures, made from their files: ``python -m pipeline.graph.document``."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from pipeline.graph.architecture import build_graph
from pipeline.graph.architecture_file import read_architecture, zoo_folder, zoo_names
from pipeline.graph.describe import non_trainable
from pipeline.graph.macs import count_macs
from pipeline.graph.parameters import PARAMETERS

INTRODUCTION = """# Models

The architectures in `conf/model/`, with the default values of their parameters.
Take one with `model=<name>`, change its parameters with `model.alpha=0.5`,
`model.input_shape=[96,96,3]`, `model.classes=10`, `model.version=2.0`, and look at it with
`crossgrade describe <name> alpha=0.5 ...`.

Version 1.0 has fused separable convolutions, and pools before ReLU6; 2.0 has them unfused and pools
last, with the upper limit of ReLU that suits the family. Both have the same weights. A model
without versions is as its file says. MACs are those of one image. Made by `make docs`.

| name | parameters | input | version | weights | of them trainable | MACs |
|---|---|---|---|---|---|---|"""


def page() -> str:
    """Return the page as Markdown."""
    lines = [INTRODUCTION, *map(_row, zoo_names()), ""]
    for name in zoo_names():
        lines += [f"**{name}**: {' '.join(_comments(name))}", ""]
    return "\n".join(lines)


def _row(name: str) -> str:
    model = read_architecture(name)
    graph = build_graph(model)
    chosen = (key for key in PARAMETERS if key in model and key not in ("version", "input_shape"))
    given = ", ".join(f"{key} {model[key]}" for key in chosen)
    versions = ", ".join(str(row["version"]) for row in model.get("versions") or ())
    shape = "x".join(map(str, graph.input.attrs["shape"]))
    total = graph.parameters
    cells = (
        *(f"`{name}`", given, f"{shape} {graph.input.attrs['dtype']}", versions or "-"),
        *(
            f"{total:,}",
            f"{total - non_trainable(graph):,}",
            f"{sum(count_macs(graph).values()):,}",
        ),
    )
    return f"| {' | '.join(cells)} |"


def _comments(name: str) -> Iterator[str]:
    """Yield the lines of the comment that a file begins with."""
    for line in (zoo_folder() / f"{name}.yaml").read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            return
        yield line.lstrip("# ")


if __name__ == "__main__":
    sys.stdout.write(page())
