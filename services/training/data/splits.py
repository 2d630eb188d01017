"""Who trains, who calibrates and who is tested under a configuration, as files to look at."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from services.training.data.photos import Row, Splits, fingerprint

SUMMARY = "splits.json"
LISTS = "splits.csv"


def write_splits(splits: Splits, folder: Path, output: Path) -> dict[str, Any]:
    """Write every photo's set to `splits.csv` and the counts to `splits.json`; return the counts.

    `folder` is the data set's; the lists name files below it. Raises OSError.
    """
    sets = {"train": splits.train, "validation": splits.validation, **splits.test}
    output.mkdir(parents=True, exist_ok=True)
    with (output / LISTS).open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["set", "file", "sha256", "label", "generator", "group"])
        for name, rows in sets.items():
            for row in sorted(rows, key=lambda row: row.path):
                file = row.path.relative_to(folder).as_posix()
                writer.writerow([name, file, row.sha256, row.label, row.generator, row.group])
    summary = {name: _counts(rows) for name, rows in sets.items()}
    (output / SUMMARY).write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return summary


def _counts(rows: Sequence[Row]) -> dict[str, Any]:
    generated = [row for row in rows if row.label]
    return {
        "real": len(rows) - len(generated),
        "ai_generated": len(generated),
        "real_sources": len({row.group for row in rows if not row.label}),
        "generated_sources": len({row.group for row in generated}),
        "generators": len({row.generator for row in generated}),
        "fingerprint": fingerprint(rows),
    }
