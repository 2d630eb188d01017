"""Other detectors beside ours, on exactly the photos that they were run on."""

import sys
from pathlib import Path

import numpy as np
import pytest

from services.training.data.photos import Row
from services.training.errors import TrainingError
from services.training.evaluate.metrics import auc
from services.training.evaluate.numbers import Evaluation, Judged
from services.training.evaluate.peers import compare, merged, read_scores, run_sahu65

DATASET = Path("/data")
LABELS = np.array([0] * 20 + [1] * 20)


def evaluation():
    rows = tuple(
        Row(DATASET / f"images/{n}.jpg", f"{n:064d}", int(label), "g", "s", "test")
        for n, label in enumerate(LABELS)
    )
    ours = LABELS + np.linspace(-1, 1, 40)
    judged = Judged(ours, ours, LABELS.astype(np.int8), ours, LABELS > 1)
    return Evaluation({}, {"test": rows}, {"test": {"clean": judged, "webp": judged}})


def write(path, peer, numbers, tier="clean"):
    lines = [f"images/{n}.jpg,{tier},{score}" for n, score in numbers.items()]
    path.write_text("\n".join([f"file,tier,{peer}", *lines]) + "\n")
    return read_scores(path)


def test_both_are_measured_on_the_peers_photos(tmp_path):
    known = [*range(5), *range(25, 40)]
    rng = np.random.default_rng(0)
    theirs = {n: float(rng.normal(LABELS[n])) for n in known}
    peers = merged(
        [
            write(tmp_path / "a.csv", "some", theirs),
            write(tmp_path / "b.csv", "all", dict.fromkeys(range(40), 0.5)),
        ]
    )
    found = evaluation()
    report = compare(found, peers, DATASET)
    assert set(report["splits"]["test"]) == {"clean"}  # no peer was run on webp
    some = report["splits"]["test"]["clean"]["some"]
    assert (some["n_real"], some["n_ai_generated"]) == (5, 15)
    ours = found.judged["test"]["clean"].logits
    assert some["auc"] == pytest.approx(auc(LABELS[known], np.array([*theirs.values()])))
    assert some["auc_ours"] == pytest.approx(auc(LABELS[known], ours[known]))
    assert some["auc_ahead"] == pytest.approx(some["auc_ours"] - some["auc"])
    assert report["splits"]["test"]["clean"]["all"]["auc"] == 0.5
    assert report["source"]["some"].startswith("a.csv, SHA-256 ")


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "peers.csv"
    path.write_text("photo,score\n1,2\n")
    with pytest.raises(TrainingError, match=r"peers\.csv"):
        read_scores(path)


@pytest.mark.parametrize("python", [None, Path(sys.executable), Path("/nowhere/python")])
def test_without_sahu65_it_says_what_to_install(python, tmp_path):
    """This environment cannot hold it: it pins older libraries."""
    (tmp_path / "photo.jpg").write_bytes(b"")
    row = Row(tmp_path / "photo.jpg", "", 0, "g", "s", "test")
    with pytest.raises(TrainingError, match=r"pip install sahu65==1\.1\.0") as caught:
        run_sahu65([row], tmp_path, python)
    assert "DETECTOR_PEERS_PYTHON" in str(caught.value)
