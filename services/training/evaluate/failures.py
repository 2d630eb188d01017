"""The worst errors as small pictures, of photos whose licence allows to show them."""

import csv
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from services.training.data.photos import Row
from services.training.evaluate.decisions import NAMES
from services.training.evaluate.numbers import Evaluation
from shared.ml.preprocess import decode

# Licences under which a photo may be shown with attribution, as manifests spell them.
_SHOWABLE = re.compile(r"^(CC0|MIT|Apache|BSD|CC-BY-\d)", re.IGNORECASE)
_PER_CLASS = 4
# Of one source, or one bad gallery would be all there is to see.
_PER_SOURCE = 2
_SIDE = 200  # pixels


def write_failures(
    evaluation: Evaluation, dataset: Path, package: Path, folder: str = "failures"
) -> list[dict[str, Any]]:
    """Write thumbnails below `package`/`folder`; return one JSON-ready entry a picture.

    Of each class those photos of the first tier whose probability is furthest on the wrong side,
    over all splits. An entry has file (relative to `package`), label, verdict, probability,
    source, licence, attribution and url. A data set that states no licences gives none.
    """
    terms = _terms(dataset)
    (package / folder).mkdir(parents=True, exist_ok=True)
    entries = []
    for row, probability, verdict in _worst(evaluation, dataset, terms):
        record = terms[row.path.relative_to(dataset).as_posix()]
        name = f"{folder}/{NAMES[1] if row.label else NAMES[-1]}_{row.sha256[:12]}.jpg"
        thumbnail = Image.fromarray(decode(row.path.read_bytes(), _SIDE))
        thumbnail.thumbnail((_SIDE, _SIDE))
        thumbnail.save(package / name, "JPEG", quality=80)
        entries.append(
            {
                "file": name,
                "label": NAMES[1] if row.label else NAMES[-1],
                "verdict": NAMES[verdict],
                "probability": probability,
                "source": row.family,
                "licence": record["licence"],
                "attribution": record.get("source_repo", ""),
                "url": record.get("source_url", ""),
            }
        )
    return entries


def _worst(
    evaluation: Evaluation, dataset: Path, terms: dict[str, dict[str, str]]
) -> list[tuple[Row, float, int]]:
    photos: dict[Path, tuple[Row, float, int]] = {}
    for split, rows in evaluation.rows.items():
        judged = next(iter(evaluation.judged[split].values()))
        for row, probability, verdict in zip(
            rows, judged.probability, judged.verdicts, strict=True
        ):
            record = terms.get(row.path.relative_to(dataset).as_posix(), {})
            if _SHOWABLE.match(record.get("licence", "")):
                photos[row.path] = row, float(probability), int(verdict)
    chosen = []
    for label in (0, 1):
        seen: Counter[str] = Counter()
        candidates = [photo for photo in photos.values() if photo[0].label == label]
        for photo in sorted(candidates, key=lambda p: np.abs(p[1] - label), reverse=True):
            wrong_side = (photo[1] >= 0.5) != bool(label)
            if wrong_side and seen[photo[0].family] < _PER_SOURCE and seen.total() < _PER_CLASS:
                seen[photo[0].family] += 1
                chosen.append(photo)
    return chosen


def _terms(dataset: Path) -> dict[str, dict[str, str]]:
    with (dataset / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        return {record["file"]: record for record in csv.DictReader(stream)}
