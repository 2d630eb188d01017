import re

import pytest

from services.training.data.manifest import MANIFEST, load_records, read_records
from services.training.errors import TrainingError


def test_the_committed_manifest_is_sound():
    records = load_records(MANIFEST)
    assert len(records) > 7000
    assert all(r.source_url and r.source_sha256 and r.licence for r in records)
    # The name is made of the hash, so that a folder of photos is its own index.
    assert all(r.file.endswith(f"/{r.sha256[:16]}.jpg") for r in records)


def test_the_committed_manifest_names_no_registry_host():
    urls = re.findall(r"[a-z]+://[^/,]+", MANIFEST.read_text(encoding="utf-8"))
    assert set(urls) == {"https://raw.githubusercontent.com"}


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (",real,", ",photo,", "label"),
        (",train,", ",Train!,", "split"),
        ("images/real/", "../real/", "file"),
        ("images/real/", "/real/", "file"),
    ],
)
def test_a_faulty_row_is_told_with_its_line_and_the_others_are_kept(
    sample, tmp_path, old, new, problem
):
    text = (sample / "manifest.csv").read_text()
    (tmp_path / "manifest.csv").write_text(text.replace(old, new, 1))
    records, problems = read_records(tmp_path / "manifest.csv")
    assert len(records) == 41
    assert len(problems) == 1
    assert problems[0].startswith(f"line 2: {problem} ")
    with pytest.raises(TrainingError, match="1 faulty rows"):
        load_records(tmp_path / "manifest.csv")


def test_a_file_listed_twice_is_a_problem(sample, tmp_path):
    lines = (sample / "manifest.csv").read_text().splitlines()
    (tmp_path / "manifest.csv").write_text("\n".join([*lines, lines[1]]))
    _, problems = read_records(tmp_path / "manifest.csv")
    assert problems == [f"line 44: {lines[1].split(',')[0]} is listed twice"]


@pytest.mark.parametrize(
    "url", ["http://example.org/a.jpg", "pkg:gem/x@1#a", "pkg:npm/x@1", "ftp://example.org/a"]
)
def test_a_source_is_https_or_a_package(sample, url):
    record = load_records(sample / "manifest.csv")[0]
    with pytest.raises(ValueError, match="source_url"):
        type(record).model_validate({**record.model_dump(), "source_url": url})


def test_a_missing_manifest_or_column_is_told(sample, tmp_path):
    with pytest.raises(TrainingError, match="no manifest"):
        read_records(tmp_path / "manifest.csv")
    text = (sample / "manifest.csv").read_text()
    (tmp_path / "manifest.csv").write_text(text.replace("group", "grp", 1))
    with pytest.raises(TrainingError, match="group"):
        read_records(tmp_path / "manifest.csv")
