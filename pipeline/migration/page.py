"""Render a certificate as one self-contained HTML page."""

from __future__ import annotations

from html import escape

from pipeline.chips import chip
from pipeline.messages.page_style import STYLE
from pipeline.migration.page_parts import badge, count, listed, relative, table
from pipeline.migration.pixel_input import pixels_sentence
from pipeline.migration.recovery import recovery_sentence
from pipeline.models.input_dtype import InputDtype
from pipeline.transforms.feeding import Feeding, feeding_sentence

CLASS_NAMES = {
    "exact": "good",
    "float noise": "good",
    "exact on the calibrated range": "good",
    "approximate": "warn",
}
VERDICTS = {"compatible": "good", "compatible after migrate": "warn", "incompatible": "bad"}


def page(certificate: dict) -> str:
    """Return the HTML of a certificate, with every text escaped."""
    model = escape(certificate["input"]["model"])
    sections = (_head, _facts, _split, _transforms, _layers, _checks, _files, _footer)
    body = "\n".join(section(certificate) for section in sections)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{model}: migration certificate</title>\n<style>\n{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _head(content) -> str:
    verdict = content["verdict"]
    kind = CLASS_NAMES[verdict["equivalence"]]
    target = content["target"]
    return (
        '<header><p class="kicker">Migration certificate</p>'
        f"<h1>{escape(content['input']['model'])} <span>to {escape(_chip(target))}</span></h1>"
        f'<p class="lead">{escape(verdict["sentence"])}</p><p>'
        + badge(f"{verdict['compatibility']} with {target}", VERDICTS[verdict["compatibility"]])
        + badge(f"equivalence: {verdict['equivalence']}", kind)
        + badge(
            "fits the chip's published limits"
            if verdict["fits_hardware_limits"]
            else "beyond the chip's published limits",
            "good" if verdict["fits_hardware_limits"] else "warn",
        )
        + "</p></header>"
    )


def _facts(content) -> str:
    outputs, before, after = content["outputs"], content["input"], content["output"]
    samples = content["samples"]
    noise = f"random images, seed {samples['seed']}" if samples["source"] == "random" else ""
    cards = [
        (
            "Largest output difference",
            f"{outputs['max_abs_difference']:.3g}",
            f"outputs reach {outputs['largest_output']:.3g}",
        ),
        ("Same class", f"{outputs['agreement']:.2%}", f"of {samples['count']} samples"),
    ]
    if "accuracy_before" in outputs:
        change = outputs["accuracy_after"] - outputs["accuracy_before"]
        cards.append(
            (
                "Accuracy",
                f"{outputs['accuracy_after']:.2%}",
                f"{outputs['accuracy_before']:.2%} before ({100 * change:+.2f} points)",
            )
        )
    for title, key in (("Parameters", "parameters"), ("MACs", "macs")):
        cards.append(
            (
                title,
                count(after[key]),
                f"{count(before[key])} before ({relative(before[key], after[key])})",
            )
        )
    cards.append(("Samples", str(samples["count"]), noise or escape(samples["path"])))
    items = "".join(
        f'<div class="card"><p>{title}</p><strong>{value}</strong><small>{note}</small></div>'
        for title, value, note in cards
    )
    return f'<section class="cards">{items}</section>'


def _split(content) -> str:
    """Return what runs where, if the model was cut in two."""
    if "split" not in content:
        return ""
    split = content["split"]
    host = split["host"]
    where = f"<code>{escape(host['path'])}</code>" if "path" in host else "not written: "
    reason = escape(host["reason"])
    rows = [
        (f"<b>{title}</b>", str(len(names)), listed(names), note)
        for title, names, note in (
            ("chip", split["chip"]["layers"], f"until {escape(', '.join(split['until']))}"),
            ("host", host["layers"], where + reason),
        )
    ]
    heads = ("Runs on", "#Layers", "Which", "")
    return f"<section><h2>What runs where</h2>{table(heads, rows)}</section>"


def _transforms(content) -> str:
    rows = [
        (
            f"<b>{escape(step['transform'])}</b>{_details(step)}",
            badge(step["equivalence"], CLASS_NAMES[step["equivalence"]]),
            listed(step["changed"]),
            f"{step['max_abs_difference']:.3g}",
            f"{step['agreement']:.2%}",
            f"{step['added_parameters']:+,}",
            f"{step['added_macs']:+,}",
        )
        for step in content["transforms"]
    ]
    heads = (
        "Transform",
        "Equivalence",
        "Layers",
        "#Difference",
        "#Agreement",
        "#Parameters",
        "#MACs",
    )
    text = table(heads, rows) if rows else "<p>No transform was needed.</p>"
    return f"<section><h2>Transforms</h2>{text}</section>"


def _details(step) -> str:
    """Return the further figures of a transform, one line each."""
    lines = []
    if "feeding" in step:
        lines.append(feeding_sentence(Feeding.of(step["feeding"])))
    if "strategy" in step:
        lines.append(f"strategy {step['strategy']}")
    for name, error in step.get("commutation_error", {}).items():
        lines.append(
            f"{name} and its activation differ in their order by {error['mean']:.2%} of the signal,"
            f" {error['max']:.2%} in the worst channel"
        )
    for name, found in step.get("activations", {}).items():
        text = f"{name}: {found['bits']} bits before"
        if "mean_steps" in found:
            text += f", moved by {found['mean_steps']:.2g} steps on average"
        lines.append(text)
    for name, found in step.get("refitted", {}).items():
        lines.append(f"{name}: refitted, {found['residual']:.2%} of its variance is left over")
    for key, text in (("clipped_share", "before"), ("clipped_share_after", "after")):
        if shares := step.get(key):
            worst = max(shares, key=shares.get)
            lines.append(f"values cut off {text}: up to {shares[worst]:.2%} ({worst})")
    if "accuracy_before" in step:
        lines.append(f"accuracy {step['accuracy_before']:.2%} to {step['accuracy_after']:.2%}")
    return "".join(f"<br><small>{escape(line)}</small>" for line in lines)


def _layers(content) -> str:
    rows = []
    for entry in content["layers"]:
        difference = entry["max_abs_difference"]
        rows.append(
            (
                *_layer(entry["before"]),
                badge(entry["status"], f"s-{entry['status']}"),
                *_layer(entry["after"]),
                "" if difference is None else f"{difference:.2g}",
            )
        )
    heads = ("Layer before", "Output", "", "Layer after", "Output", "#Difference")
    return (
        "<section><h2>Layer by layer</h2><p>Differences are between the outputs of the same layer"
        " in both models, on up to 8 samples; blank where the shapes differ or a layer is new."
        f"</p>{table(heads, rows)}</section>"
    )


def _layer(entry):
    if entry is None:
        return "", ""
    shape = "x".join(map(str, entry["shape"]))
    return f"{escape(entry['name'])} <small>{escape(entry['type'])}</small>", shape


def _checks(content) -> str:
    parts = []
    for title, key in (("before", "check_before"), ("after", "check_after")):
        report = content[key]
        rows = [
            (
                escape(v["layer"]),
                f"{escape(v['sentence'])}"
                f" <small>{escape(v['rule'])}, {escape(v['source'])}</small>",
                escape(v["found"]),
                escape(v["allowed"]),
                badge(v["kind"], "bad" if v["kind"] == "conversion" else "warn"),
            )
            for v in report["violations"]
        ]
        heads = ("Layer", "Rule", "Found", "Allowed", "Kind")
        text = table(heads, rows) if rows else "<p>No violation.</p>"
        notes = "".join(f"<li>{escape(note)}</li>" for note in report["notes"])
        parts.append(
            f"<details{' open' if key == 'check_after' else ''}><summary>Rules of"
            f" {escape(_chip(content['target']))} {title}"
            f" {badge(report['verdict'], VERDICTS[report['verdict']])}"
            f"</summary>{text}{f'<ul>{notes}</ul>' if notes else ''}</details>"
        )
    return f"<section><h2>Compatibility</h2>{''.join(parts)}</section>"


def _files(content) -> str:
    rows = [
        (
            f"<b>{key}</b>",
            escape(content[key]["path"]) + _origin(content[key]),
            f"{content[key]['bytes']:,}",
            f"<code>{content[key]['sha256']}</code>",
        )
        for key in ("input", "output")
    ]
    for entry in content.get("exports", ()):
        for key, file in (("quantized", entry["quantized"]), (entry["format"], entry)):
            size, hashed = f"{file['bytes']:,}", f"<code>{escape(file['sha256'])}</code>"
            rows.append((f"<b>{escape(key)}</b>", escape(file["path"]), size, hashed))
    samples = content["samples"]
    where = samples.get("path") or f"random, seed {samples['seed']}"
    rows.append(("<b>samples</b>", escape(where), "", f"<code>{samples['sha256']}</code>"))
    return (
        "<section><h2>Files</h2>"
        + table(("", "File", "#Bytes", "SHA-256"), rows)
        + "<p>To recompute all of this: <code>crossgrade verify certificate.json</code></p>"
        "</section>"
    )


def _origin(file: dict) -> str:
    if sentence := _images(file):
        return f" <small>{escape(f'the migrated model {sentence}')}</small>"
    if not file.get("quantized_by"):
        return ""
    recovered = f": {recovery_sentence(file['recovery'])}" if file.get("recovery") else ""
    text = f"quantized by {file['quantized_by']}, float model recovered{recovered}"
    return f" <small>{escape(text)}</small>"


def _images(file: dict) -> str:
    """Return what the migrated model takes, where there was a choice."""
    if pixels := file.get("pixels"):
        return pixels_sentence(**pixels)
    chosen = InputDtype(**file.get("input_dtype", {"dtype": "", "reason": ""}))
    return str(chosen) if chosen.reason else ""


def _footer(content) -> str:
    versions = ", ".join(f"{escape(k)} {escape(v)}" for k, v in content["versions"].items())
    return (
        f"<footer><p>{versions}</p><p>Digest of this certificate"
        f" <code>{content['digest']}</code></p></footer>"
    )


def _chip(target) -> str:
    return chip(target).title
