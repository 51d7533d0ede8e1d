"""Model summary in the layout of the vendor's tools."""

from __future__ import annotations

from simulator.program import Program


def summary(program: Program) -> str:
    """Return two tables of a program: the model, then its layers.

    Cells are left-justified and joined by two blanks; rules are two characters longer than rows.
    """
    layers = program.layers
    model_row = (
        _shape(layers[0].input_shapes[0]),
        _shape(layers[-1].output_shape),
        "1",
        str(len(layers)),
    )
    model_head = ("Input shape", "Output shape", "Sequences", "Layers")
    widths, rule = _columns([model_head, model_row])
    lines = [
        " " * ((rule - len("Model Summary")) // 2) + "Model Summary",
        "_" * rule,
        _row(model_head, widths),
        "=" * rule,
        _row(model_row, widths),
        "_" * rule,
        "",
    ]
    rows = [row for layer in layers for row in _layer_rows(layer)]
    head = ("Layer (type)", "Output shape", "Kernel shape")
    widths, rule = _columns([head, *rows])
    text = f" SW/{layers[0].name}-{layers[-1].name} (Software) "
    fill = max(rule - len(text), 0)
    sequence = "=" * -(-fill // 2) + text + "=" * (fill // 2)
    lines += ["_" * rule, _row(head, widths), "", sequence, ""]
    for row in rows:
        lines += [_row(row, widths), "_" * rule]
    return "\n".join(lines) + "\n"


def _layer_rows(layer):
    kernels = [str(tuple(int(n) for n in shape)) for shape in layer.kernel_shapes] or ["N/A"]
    yield f"{layer.name} ({layer.type_label})", _shape(layer.output_shape), kernels[0]
    for kernel in kernels[1:]:
        yield "", "", kernel


def _shape(shape) -> str:
    return str([int(n) for n in shape])


def _columns(rows):
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return widths, sum(width + 2 for width in widths)


def _row(cells, widths) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
