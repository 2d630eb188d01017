"""The validator against a sound data set, and against one spoilt in each way that it names."""

import csv
import json
import shutil

import pytest
from PIL import Image

from services.training.data.exclusions import read_exclusions
from services.training.data.manifest import load_records, write_records
from services.training.data.validation.report import PAGE, PAIRS, SUGGESTED, SUMMARY, write_report
from services.training.data.validation.validate import Limits, seen_generators, validate


def check(folder, excluded=None):
    return validate(folder, excluded or {}, Limits(), 2, lambda *_: None)


@pytest.fixture
def folder(sample, tmp_path):
    """A copy of the sample that a test may spoil."""
    return shutil.copytree(sample, tmp_path / "dataset")


def change(folder, choose, **update):
    """Change the first record for which `choose` holds; return it as it was."""
    records = load_records(folder / "manifest.csv")
    index = next(i for i, record in enumerate(records) if choose(record))
    before = records[index]
    records[index] = before.model_copy(update=update)
    write_records(folder / "manifest.csv", records)
    return before


def test_the_sample_is_sound(sample):
    found = check(sample)
    assert found.errors == []
    summary = found.summary()
    assert summary["photos"] == 42
    assert summary["counts"]["train"] == {"real": 10, "ai_generated": 10}
    assert summary["generators"] == 5
    assert summary["bias"]["originals"]["features"]["is_jpeg"]["real"] == 1.0
    assert json.loads(json.dumps(summary)) == summary


def test_an_unreadable_file_is_an_error(folder):
    file = load_records(folder / "manifest.csv")[5].file
    (folder / file).write_bytes(b"not an image")
    found = check(folder)
    (error,) = found.errors
    assert error.startswith(f"{file} cannot be read")
    assert len(found.records) == 41


def test_an_altered_file_is_an_error(folder):
    before = change(folder, lambda record: record.split == "val", sha256="0" * 64)
    (error,) = check(folder).errors
    assert before.file in error


def test_a_faulty_row_is_an_error(folder):
    change(folder, lambda record: record.split == "val", label="photo")
    assert "label" in check(folder).errors[0]


def test_a_group_on_two_sides_is_an_error(folder):
    before = change(folder, lambda record: record.split == "train", split="val")
    assert check(folder).errors == [f"group '{before.group}' is cut: it is in train and validation"]


def test_extra_material_may_share_a_group_with_train(folder):
    change(folder, lambda record: record.split == "train", split="art")
    assert check(folder).errors == []


def copy_into_validation(folder, quality=None):
    """List a training photo once more in `val`: the same bytes, or encoded again."""
    records = load_records(folder / "manifest.csv")
    first = next(record for record in records if record.split == "train")
    data = (folder / first.file).read_bytes()
    (folder / "copy.jpg").write_bytes(data)
    update = {"file": "copy.jpg", "split": "val", "group": "another", "source_sha256": None}
    if quality:
        with Image.open(folder / first.file) as image:
            image.convert("RGB").save(folder / "copy.jpg", quality=quality)
        update["sha256"] = "0" * 64
    write_records(folder / "manifest.csv", [*records, first.model_copy(update=update)])
    return first


def test_one_photo_on_two_sides_is_an_error(folder):
    first = copy_into_validation(folder)
    assert check(folder).errors == [f"{first.file} (train) is copy.jpg (val)"]


def test_a_near_duplicate_across_sides_is_a_warning_that_an_exclusion_settles(folder, tmp_path):
    """The report suggests the exclusion; with it, the next run is clean."""
    first = copy_into_validation(folder, quality=40)
    found = check(folder)
    assert found.errors == ["copy.jpg is not the file that the manifest lists (SHA-256)"]
    assert "1 pairs of near duplicates cross the splits" in found.warnings
    write_report(found, folder, tmp_path / "report")
    suggested = read_exclusions(tmp_path / "report" / SUGGESTED)
    assert suggested == {first.sha256: "near duplicate of copy.jpg in val"}
    again = check(folder, suggested)
    assert again.pairs == ()
    assert again.summary()["excluded"] == 1


def test_a_generator_of_the_unseen_tier_that_training_sees_is_told(sample):
    records = load_records(sample / "manifest.csv")
    assert seen_generators(records) == []
    leak = records[-1].model_copy(update={"split": "train", "generator": "lattice-x"})
    told = ["generator 'lattice-x' has 2 photos in test_unseen_generator and 1 outside"]
    assert seen_generators([*records, leak]) == told


def test_the_report_has_numbers_pictures_and_pairs(folder, tmp_path):
    copy_into_validation(folder)
    change(folder, lambda record: record.split == "val", generator="<b>evil</b>", label="photo")
    page = write_report(check(folder), folder, tmp_path / "report")
    assert page.name == PAGE
    text = page.read_text()
    assert "copy.jpg" in text
    assert "<b>evil" not in text
    assert json.loads((page.parent / SUMMARY).read_text())["exact_duplicates_across_splits"] == 1
    with (page.parent / PAIRS).open(newline="") as stream:
        (pair,) = csv.DictReader(stream)
    assert (pair["exact"], pair["second_split"]) == ("True", "val")
    for name in ("real.jpg", "ai_generated.jpg", "pairs.jpg"):
        with Image.open(page.parent / name) as image:
            assert image.width >= 2 * 96
        assert f'src="{name}"' in text
