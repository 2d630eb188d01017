"""Published detectors beside ours, on the same photos in the same tiers."""

import csv
import struct
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from services.training.data.photos import Row
from services.training.errors import TrainingError
from services.training.evaluate.metrics import Labels, Scores, auc, recall_at_fpr
from services.training.evaluate.numbers import Evaluation
from services.training.evaluate.scoring import labels_of
from services.training.evaluate.tiers import TIERS
from shared.ml.package import sha256_file

# Tiers in which a peer is run; more of them would take hours on two cores.
RUN_TIERS = ("clean", "q40")
_SCRIPT = Path(__file__).with_name("sahu65_scores.py")
_REQUIREMENT = "sahu65==1.1.0"


@dataclass(frozen=True, slots=True)
class PeerScores:
    """Scores by (file as the data set's manifest names it, tier), then peer.

    Higher means more likely AI-generated; scales differ between peers. `source` says where from.
    """

    scores: dict[tuple[str, str], dict[str, float]]
    source: dict[str, str]


def read_scores(path: Path) -> PeerScores:
    """Read a CSV with the columns `file`, `tier` and one column of scores per peer.

    Raises TrainingError when the file cannot be read or has another form.
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            names = [name for name in reader.fieldnames or () if name not in {"file", "tier"}]
            scores = {
                (record["file"], record["tier"]): {
                    name: float(record[name]) for name in names if record[name]
                }
                for record in reader
            }
    except (OSError, KeyError, ValueError) as error:
        raise TrainingError(f"{path} is not a file of peers' scores: {error!r}") from error
    source = f"{path.name}, SHA-256 {sha256_file(path)[:12]}"
    return PeerScores(scores, dict.fromkeys(names, source))


def run_sahu65(rows: Sequence[Row], dataset: Path, python: Path | None) -> PeerScores:
    """Run the PyPI package `sahu65` on `rows` in RUN_TIERS and return its scores.

    It pins older versions of libraries that this project uses, so it runs as a process of its own
    interpreter: `python`, of an environment where it is installed.

    Raises TrainingError that says what to install when that interpreter has no `sahu65`.
    """
    help_text = (
        "make an environment for it (python3 -m venv .local/peers && .local/peers/bin/pip install"
        f" {_REQUIREMENT}) and set DETECTOR_PEERS_PYTHON to its python"
    )
    if python is None:
        raise TrainingError(f"--peer sahu65 needs the package sahu65: {help_text}")
    name = "sahu65 (run)"
    scores: dict[tuple[str, str], dict[str, float]] = {}
    for tier in RUN_TIERS:
        photos = [TIERS[tier](row.path.read_bytes()) for row in rows]
        payload = b"".join(struct.pack(">I", len(photo)) + photo for photo in photos)
        try:
            done = subprocess.run([python, _SCRIPT], input=payload, capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            detail = getattr(error, "stderr", b"") or b""
            last = detail.decode(errors="replace").strip().splitlines()[-1:] or [str(error)]
            raise TrainingError(f"sahu65 did not run ({last[0]}): {help_text}") from error
        values = [float(line) for line in done.stdout.decode().split()]
        for row, value in zip(rows, values, strict=True):
            scores[_file(row, dataset), tier] = {name: value}
    return PeerScores(scores, {name: f"{_REQUIREMENT} from PyPI, run on these photos"})


def merged(every: Sequence[PeerScores]) -> PeerScores:
    """Return several sets of scores as one."""
    scores: dict[tuple[str, str], dict[str, float]] = {}
    source: dict[str, str] = {}
    for each in every:
        source |= each.source
        for key, values in each.scores.items():
            scores[key] = scores.get(key, {}) | values
    return PeerScores(scores, source)


def compare(evaluation: Evaluation, peers: PeerScores, dataset: Path) -> dict[str, Any]:
    """Return {"source": {peer: text}, "splits": {split: {tier: {peer: numbers}}}}.

    Each peer's numbers stand beside ours on exactly the photos that it has a score for;
    `auc_ahead` and `recall_at_5pct_fpr_ahead` are ours minus the peer's.
    """
    splits: dict[str, Any] = {}
    for split, rows in evaluation.rows.items():
        labels = labels_of(rows)
        for tier, judged in evaluation.judged[split].items():
            found = [peers.scores.get((_file(row, dataset), tier), {}) for row in rows]
            for peer in peers.source:
                scored = np.array([peer in scores for scores in found])
                if len(set(labels[scored].tolist())) < 2:
                    continue
                theirs = np.array([scores[peer] for scores in found if peer in scores])
                entry = _beside(labels[scored], judged.logits[scored], theirs)
                splits.setdefault(split, {}).setdefault(tier, {})[peer] = entry
    return {"source": peers.source, "splits": splits}


def _beside(labels: Labels, ours: Scores, theirs: Scores) -> dict[str, float | int]:
    numbers: dict[str, float | int] = {
        "n_real": int((labels == 0).sum()),
        "n_ai_generated": int((labels == 1).sum()),
    }
    measures: dict[str, Callable[[Labels, Scores], float]] = {
        "auc": auc,
        "recall_at_5pct_fpr": partial(recall_at_fpr, fpr=0.05),
    }
    for name, measure in measures.items():
        their_value, our_value = measure(labels, theirs), measure(labels, ours)
        numbers |= {
            name: their_value,
            f"{name}_ours": our_value,
            f"{name}_ahead": our_value - their_value,
        }
    return numbers


def _file(row: Row, dataset: Path) -> str:
    return row.path.relative_to(dataset).as_posix()
