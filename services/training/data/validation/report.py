"""The validator's findings as a folder: a page with pictures, the pairs, and the numbers."""

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from services.training.data.exclusions import write_exclusions
from services.training.data.manifest import Record
from services.training.data.validation.duplicates import Pair
from services.training.data.validation.validate import Validation

SUMMARY = "validation.json"
PAGE = "index.html"
PAIRS = "pairs.csv"
SUGGESTED = "suggested_exclusions.csv"
LABELS = ("real", "ai_generated")
_THUMBNAIL = 96  # pixels
_COLUMNS = 12
_SHEET_PHOTOS = 96
_SHOWN_PAIRS = 48
_SHOWN_LINES = 200
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:75em;margin:2em auto;padding:0 1em}
table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.2em .6em;text-align:left}
td.n{text-align:right}img{max-width:100%}.error{color:#a00}.warning{color:#850}"""
_BIAS_INTRO = (
    "Medians (shares, for yes/no), and the AUC of each feature alone; 0.5 is no clue. The"
    " classifier sees all of them, and is tested on source groups that it never saw."
)
_PAIRS_INTRO = (
    f"All are in {PAIRS}; {SUGGESTED} names the photo of each that data/exclusions.csv could leave"
    " out. Below are the most alike, two cells a pair, row by row."
)
_PAIR_HEAD = ("", "bits", "correlation", "photo", "split", "photo", "split")


def write_report(found: Validation, folder: Path, output: Path) -> Path:
    """Write the report about the data set in `folder`; return the page's path.

    Raises OSError when `output` cannot be written.
    """
    output.mkdir(parents=True, exist_ok=True)
    (output / SUMMARY).write_text(json.dumps(found.summary(), indent=1) + "\n", encoding="utf-8")
    for label in LABELS:
        chosen = _one_group_in_turn([r for r in found.records if r.label == label])
        _sheet([folder / record.file for record in chosen]).save(output / f"{label}.jpg")
    shown = found.pairs[:_SHOWN_PAIRS]
    files = [folder / record.file for pair in shown for record in (pair.first, pair.second)]
    _sheet(files).save(output / "pairs.jpg")
    _write_pairs(output / PAIRS, found.pairs)
    write_exclusions(output / SUGGESTED, _suggestions(found.pairs))
    page = output / PAGE
    page.write_text(_page(found), encoding="utf-8")
    return page


def _suggestions(pairs: Iterable[Pair]) -> list[tuple[str, str, str]]:
    """Of each pair that crosses splits drop the photo nearer to training: tests stay the same."""
    lines: dict[str, tuple[str, str, str]] = {}
    for pair in pairs:
        if pair.crosses:
            kind = "the same photo as" if pair.exact else "near duplicate of"
            reason = f"{kind} {pair.second.file} in {pair.second.split}"
            lines.setdefault(pair.first.file, (pair.first.file, pair.first.sha256, reason))
    return sorted(lines.values())


def _write_pairs(path: Path, pairs: Iterable[Pair]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        sides = [
            f"{n}_{c}" for n in ("first", "second") for c in ("file", "split", "label", "group")
        ]
        writer.writerow(["exact", "distance", "correlation", *sides])
        for pair in pairs:
            ends = [
                value
                for record in (pair.first, pair.second)
                for value in (record.file, record.split, record.label, record.group)
            ]
            writer.writerow([pair.exact, pair.distance, f"{pair.correlation:.3f}", *ends])


def _one_group_in_turn(records: Sequence[Record]) -> list[Record]:
    groups: defaultdict[str, list[Record]] = defaultdict(list)
    for record in sorted(records, key=lambda record: record.sha256):
        groups[record.group].append(record)
    ranked = [(rank, r) for members in groups.values() for rank, r in enumerate(members)]
    ranked.sort(key=lambda item: (item[0], item[1].sha256))
    return [record for _, record in ranked[:_SHEET_PHOTOS]]


def _sheet(files: Sequence[Path]) -> Image.Image:
    """Return a contact sheet, row by row; a single grey cell where there is no photo."""
    rows = max(1, -(-len(files) // _COLUMNS))
    columns = max(1, min(_COLUMNS, len(files)))
    sheet = Image.new("RGB", (columns * _THUMBNAIL, rows * _THUMBNAIL), "#ddd")
    for number, path in enumerate(files):
        with Image.open(path) as image:
            small = image.convert("RGB")
            small.thumbnail((_THUMBNAIL - 4, _THUMBNAIL - 4))
        row, column = divmod(number, _COLUMNS)
        sheet.paste(small, (column * _THUMBNAIL + 2, row * _THUMBNAIL + 2))
    return sheet


def _page(found: Validation) -> str:
    summary = found.summary()
    counts = [[s, str(c["real"]), str(c["ai_generated"])] for s, c in summary["counts"].items()]
    size = (
        f"{summary['photos']} photos from {summary['groups']} sources, {summary['generators']}"
        f" generators; {summary['excluded']} more are excluded."
    )
    parts = [
        f"<!doctype html><meta charset=utf-8><title>Data set</title><style>{_STYLE}</style>",
        f"<h1>Data set</h1><p>{size}</p>",
        _table(["split", "real", "AI-generated"], counts),
        _lines("Errors", "error", found.errors),
        _lines("Warnings", "warning", found.warnings),
        f"<h2>Does the file give the class away?</h2><p>{_BIAS_INTRO}</p>",
        *(_bias(name, part) for name, part in found.bias.items()),
        f"<h2>Pairs across splits or labels</h2><p>{len(found.pairs)} pairs. {_PAIRS_INTRO}</p>",
        '<img src="pairs.jpg" alt="pairs of like photos">' if found.pairs else "",
        _table(_PAIR_HEAD, [_cells(pair) for pair in found.pairs[:_SHOWN_PAIRS]]),
        *(f'<h2>{name}</h2><img src="{name}.jpg" alt="contact sheet: {name}">' for name in LABELS),
    ]
    return "\n".join(parts) + "\n"


def _cells(pair: Pair) -> list[str]:
    kind = "exact" if pair.exact else "labels differ" if pair.labels_differ else ""
    first, second = pair.first, pair.second
    ends = [first.file, first.split, second.file, second.split]
    return [kind, str(pair.distance), f"{pair.correlation:.3f}", *ends]


def _bias(name: str, part: dict[str, Any]) -> str:
    rows = [
        [feature, *("–" if values[key] is None else f"{values[key]:g}" for key in (*LABELS, "auc"))]
        for feature, values in part["features"].items()
    ]
    classifier = part["classifier"]
    told = "Not measured: the manifest lacks the columns, or there are too few sources."
    if classifier:
        told = (
            f"Classifier on all of them: AUC {classifier['auc']:.3f}"
            f" (single folds {classifier['lowest_fold']:.3f} to {classifier['highest_fold']:.3f})."
        )
    table = _table(["feature", "real", "AI-generated", "AUC alone"], rows) if rows else ""
    return f"<h3>{escape(name)}</h3><p>{told}</p>{table}"


def _lines(title: str, kind: str, lines: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines[:_SHOWN_LINES])
    more = f"<p>and {len(lines) - _SHOWN_LINES} more</p>" if len(lines) > _SHOWN_LINES else ""
    body = f"<ul class={kind}>{items}</ul>{more}" if lines else "<p>None.</p>"
    return f"<h2>{title}</h2>{body}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<table>{line(head, 'th')}{body}</table>"
