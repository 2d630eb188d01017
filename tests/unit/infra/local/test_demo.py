"""The demo reads the shipped list and counts honestly."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from infra.local.demo import Outcome, Sample, read_samples, render, tally
from infra.local.errors import LocalStackError
from shared.contracts.wire.jobs import Verdict


def _outcome(truth: str, label: str | None) -> Outcome:
    sample = Sample(Path("photo.jpg"), truth)
    if label is None:
        return Outcome(sample, None, "image could not be read", 0.5)
    verdict = Verdict(label=label, probability=0.25, confidence=0.75, model_version="v7")
    return Outcome(sample, verdict, None, 0.5)


def test_the_shipped_samples_are_all_there() -> None:
    samples = read_samples()
    assert {sample.truth for sample in samples} == {"real", "ai_generated"}


def test_a_missing_photo_is_named(tmp_path: Path) -> None:
    listing = tmp_path / "samples.csv"
    listing.write_text("file,label\nlost.jpg,real\n")
    with pytest.raises(LocalStackError, match=r"lost\.jpg"):
        read_samples(listing)


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalStackError, match="missing"):
        read_samples(tmp_path / "samples.csv")


def test_uncertain_is_neither_right_nor_wrong() -> None:
    outcomes = [
        _outcome("real", "real"),
        _outcome("real", "ai_generated"),
        _outcome("ai_generated", "uncertain"),
        _outcome("ai_generated", None),
    ]
    assert tally(outcomes) == "1 right, 1 uncertain, 1 wrong, 1 without a verdict"


def test_the_table_shows_truth_verdict_and_outcome_or_why_there_is_none() -> None:
    console = Console(width=110, file=io.StringIO())
    outcomes = [_outcome("ai_generated", "real"), _outcome("real", None)]
    console.print(render(outcomes))
    text = console.file.getvalue()
    (judged,) = [line for line in text.splitlines() if "wrong" in line and "photo.jpg" in line]
    assert judged.split() == ["photo.jpg", "AI-generated", "real", "25.0%", "wrong", "0.5", "s"]
    for word in ("2 sample photos", "v7", "image could not be read", f"{tally(outcomes)}."):
        assert word in text


def test_a_terminal_of_80_columns_shows_each_sample_on_one_line() -> None:
    console = Console(width=80, file=io.StringIO())
    verdict = Verdict(label="ai_generated", probability=1.0, confidence=1.0, model_version="v7")
    samples = read_samples()
    console.print(render([Outcome(sample, verdict, None, 10.5) for sample in samples]))
    lines = console.file.getvalue().splitlines()
    for sample in samples:
        (line,) = [line for line in lines if line.startswith(f"{sample.path.name} ")]
        _name, _truth, *told = line.split()
        assert told[:2] == ["AI-generated", "100.0%"]
        assert told[-2:] == ["10.5", "s"]
