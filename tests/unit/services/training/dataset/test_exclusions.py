import pytest

from services.training.data import read_manifest
from services.training.dataset.exclusions import (
    read_exclusions,
    without_excluded,
    write_exclusions,
)
from services.training.errors import TrainingError


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


@pytest.mark.parametrize("text", ["file,sha256\n", "file,sha256,reason\na.jpg,0,\n"])
def test_an_exclusion_needs_a_reason(tmp_path, text):
    (tmp_path / "exclusions.csv").write_text(text)
    with pytest.raises(TrainingError):
        read_exclusions(tmp_path / "exclusions.csv")
