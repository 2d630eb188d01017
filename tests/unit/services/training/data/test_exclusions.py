import csv
from urllib.parse import unquote, urlsplit

import pytest

from services.training.data.exclusions import (
    read_exclusions,
    without_excluded,
    write_exclusions,
)
from services.training.data.photos import read_manifest
from services.training.errors import TrainingError
from shared.core.settings import REPOSITORY_ROOT
from tests.support.photos import SAMPLES


def test_excluded_photos_are_left_out(sample, tmp_path):
    rows = read_manifest(sample)
    path = tmp_path / "exclusions.csv"
    write_exclusions(path, [("a.jpg", rows[3].sha256, "wrong label"), ("b.jpg", "0", "elsewhere")])
    assert without_excluded(rows, path) == [*rows[:3], *rows[4:]]


def test_without_a_file_nothing_is_excluded(sample, tmp_path):
    rows = read_manifest(sample)
    assert without_excluded(rows, tmp_path / "none.csv") == rows


def test_the_committed_file_can_be_read():
    assert all(read_exclusions().values())


def test_no_sample_photo_takes_part_in_training_or_calibration():
    """What is shown as a sample is excluded, or of a test split."""
    with (SAMPLES / "samples.csv").open(newline="", encoding="utf-8") as stream:
        samples = [(_source(line["source_url"]), line["split"]) for line in csv.DictReader(stream)]
    with (REPOSITORY_ROOT / "data" / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        listed = {
            (line["source_repo"], line["source_path"]): line for line in csv.DictReader(stream)
        }
    excluded = read_exclusions()
    for source, split in samples:
        row = listed[source]
        assert row["split"] == split
        assert row["sha256"] in excluded or split.startswith("test_"), source


def _source(url):
    """Owner/name and path out of a raw file's address."""
    owner, name, _commit, path = urlsplit(url).path[1:].split("/", 3)
    return f"{owner}/{name}", unquote(path)


@pytest.mark.parametrize("text", ["file,sha256\n", "file,sha256,reason\na.jpg,0,\n"])
def test_an_exclusion_needs_a_reason(tmp_path, text):
    (tmp_path / "exclusions.csv").write_text(text)
    with pytest.raises(TrainingError):
        read_exclusions(tmp_path / "exclusions.csv")
