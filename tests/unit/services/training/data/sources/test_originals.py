from pathlib import Path

import pytest

from services.training.data.cache import sha256_of
from services.training.data.manifest import load_records
from services.training.data.photos import Row, read_manifest
from services.training.data.settings import DatasetSettings
from services.training.data.sources.originals import Originals, Share
from services.training.errors import TrainingError
from shared.core.settings import REPOSITORY_ROOT


def row(source_sha256, label=0, split="train"):
    return Row(Path("a.jpg"), "0" * 64, label, "x", "g", split, source_sha256)


def test_an_original_is_found_by_its_hash(tmp_path):
    originals = Originals(tmp_path / "originals")
    digest = sha256_of(b"bytes")
    assert originals.path(row(digest)) is None
    stored = originals.put(b"bytes")
    assert stored == tmp_path / "originals" / digest[:2] / digest
    assert stored.read_bytes() == b"bytes"
    assert originals.path(row(digest)) == stored
    assert [path.name for path in stored.parent.iterdir()] == [digest]
    stored.write_bytes(b"")
    assert originals.path(row(digest)) is None


def test_the_folder_of_originals_is_the_only_one_that_is_read(tmp_path):
    (tmp_path / "secret").write_text("x")
    originals = Originals(tmp_path / "originals")
    assert originals.path(row("../secret")) is None
    assert originals.path(row("")) is None


def test_without_a_folder_there_are_no_originals():
    originals = Originals(None)
    assert originals.path(row("0" * 64)) is None
    with pytest.raises(ValueError, match="no folder"):
        originals.put(b"bytes")


def test_coverage_is_counted_by_split_and_class(tmp_path):
    originals = Originals(tmp_path)
    held = row(sha256_of(b"one"), 1)
    originals.put(b"one")
    others = [row("1" * 64), row("2" * 64, 1), row("", 1, "val")]
    found = originals.coverage([held, *others])
    assert found.by_split == {
        "train": {"ai_generated": Share(2, 1), "real": Share(1, 0)},
        "val": {"ai_generated": Share(1, 0)},
    }
    assert found.total == Share(4, 1)
    assert found.summary()["splits"]["val"] == {"ai_generated": {"photos": 1, "originals": 0}}


def test_training_rows_and_records_count_alike(sample, tmp_path):
    """The sample's photos are their own originals."""
    originals = Originals(tmp_path)
    records = load_records(sample / "manifest.csv")
    for record in records[:7]:
        originals.put((sample / record.file).read_bytes())
    rows = read_manifest(sample)
    assert originals.coverage(rows) == originals.coverage(records)
    assert originals.coverage(rows).total == Share(42, 7)
    assert [originals.path(r) is not None for r in rows].count(True) == 7


def test_the_setting_must_name_a_folder_outside_the_work_tree(tmp_path, monkeypatch):
    monkeypatch.delenv("DETECTOR_ORIGINALS_DIR", raising=False)
    with pytest.raises(TrainingError, match="DETECTOR_ORIGINALS_DIR is not set"):
        DatasetSettings().require_originals()
    monkeypatch.setenv("DETECTOR_ORIGINALS_DIR", str(REPOSITORY_ROOT / "data" / "originals"))
    with pytest.raises(TrainingError, match="in the work tree"):
        DatasetSettings().require_originals()
    monkeypatch.setenv("DETECTOR_ORIGINALS_DIR", str(tmp_path / "new"))
    assert DatasetSettings().require_originals() == tmp_path / "new"
