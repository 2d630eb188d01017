"""The commands, as a person gives them."""

import json
import shutil

import pytest
import torch
from typer.testing import CliRunner

from services.training.data.cli import app
from services.training.data.manifest import load_records
from services.training.data.photos import read_manifest
from services.training.fit.taef2 import build_decoder, build_encoder


@pytest.fixture
def detector(tmp_path, monkeypatch):
    """A function that runs `detector data …` in an empty folder, with no settings."""
    for name in ("DATASET_DIR", "DATASET_CACHE", "DATASET_SOURCES", "WEIGHTS_DIR"):
        monkeypatch.delenv(f"DETECTOR_{name}", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments, **settings):
        environment = {f"DETECTOR_{name}": str(value) for name, value in settings.items()}
        return CliRunner().invoke(app, list(map(str, arguments)), env=environment)

    return run


def fetch_into(detector, sample, cache, *arguments, **settings):
    return detector(
        *("fetch", "--manifest", sample / "manifest.csv", "--offline", *arguments),
        DATASET_CACHE=cache,
        **settings,
    )


def test_sample_fetch_validate_and_split(detector, sample, tmp_path):
    """The photos come from the folder of the setting; the later commands find the cache."""
    cache = tmp_path / "cache"
    done = fetch_into(detector, sample, cache, DATASET_SOURCES=sample)
    assert done.exit_code == 0, done.output
    assert "from a local folder" in done.stdout
    done = detector("validate", "--output", "report", DATASET_CACHE=cache)
    assert done.exit_code == 0, done.output
    assert "0 errors" in done.stdout
    assert (tmp_path / "report" / "index.html").is_file()

    (tmp_path / "run.yaml").write_text("{data: {extra_splits: {art: 1}}, package: {version: '1'}}")
    done = detector("split", "--config", "run.yaml", "--output", "lists", DATASET_DIR=cache)
    assert done.exit_code == 0, done.output
    summary = json.loads((tmp_path / "lists" / "splits.json").read_text())
    assert {name: (c["real"], c["ai_generated"]) for name, c in summary.items()} == {
        "train": (10, 12),
        "validation": (4, 4),
        "test_unseen_source": (4, 4),
        "test_unseen_generator": (4, 4),
    }
    lines = (tmp_path / "lists" / "splits.csv").read_text().splitlines()
    assert len(lines) == 1 + 22 + 8 + 8 + 8
    assert lines[1].startswith("train,images/ai/")


def test_fetch_fails_when_photos_are_missing_and_goes_on_later(detector, sample, tmp_path):
    partial = shutil.copytree(sample, tmp_path / "partial")
    gone = load_records(sample / "manifest.csv")[0].file
    (partial / gone).unlink()
    done = fetch_into(detector, sample, tmp_path / "cache", "--from", partial)
    assert done.exit_code == 1
    assert f"{gone}: in no local folder" in done.stdout
    assert "41 photos are listed" in done.stdout
    done = fetch_into(detector, sample, tmp_path / "cache", "--from", sample)
    assert done.exit_code == 0
    assert len(read_manifest(tmp_path / "cache")) == 42


def test_excluded_photos_are_not_fetched(detector, sample, tmp_path):
    record = load_records(sample / "manifest.csv")[0]
    path = tmp_path / "exclusions.csv"
    path.write_text(f"file,sha256,reason\n{record.file},{record.sha256},wrong label\n")
    cache = tmp_path / "cache"
    done = fetch_into(detector, sample, cache, "--from", sample, "--exclusions", path)
    assert done.exit_code == 0
    assert not (cache / record.file).exists()
    assert len(read_manifest(cache)) == 41


def test_validate_fails_on_an_error(detector, sample, tmp_path):
    folder = shutil.copytree(sample, tmp_path / "dataset")
    file = load_records(sample / "manifest.csv")[0].file
    (folder / file).write_bytes(b"")
    done = detector("validate", "--dataset", folder, "--output", "report")
    assert done.exit_code == 1
    assert f"{file} cannot be read" in done.stdout
    assert json.loads((tmp_path / "report" / "validation.json").read_text())["unreadable"] == 1


def test_sample_refuses_a_folder_in_use(detector, tmp_path):
    done = detector("sample", "new", "--per-group", 1, "--side", 32)
    assert done.exit_code == 0, done.output
    assert len(read_manifest(tmp_path / "new")) == 21
    assert detector("sample", "new").exit_code == 2


@pytest.mark.parametrize("command", [["validate"], ["split", "--config", "none.yaml"]])
def test_a_missing_folder_is_one_line(detector, command, tmp_path):
    done = detector(*command, "--dataset", tmp_path / "none")
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1].startswith("error: ") or "none" in done.stderr


def test_reconstruct_makes_partners_and_goes_on(detector, sample, tmp_path):
    """With the real architecture and random weights: what is tested is the way of the files."""
    folder = shutil.copytree(sample, tmp_path / "dataset")
    torch.manual_seed(0)
    torch.save(build_encoder().state_dict(), tmp_path / "taef2_encoder.pth")
    torch.save(build_decoder().state_dict(), tmp_path / "taef2_decoder.pth")
    command = ("reconstruct", "--dataset", folder, "--count", 3, "--resize-short", 32)
    assert "DETECTOR_WEIGHTS_DIR" in detector(*command).stderr
    done = detector(*command, WEIGHTS_DIR=tmp_path)
    assert done.exit_code == 0, done.output
    rows = read_manifest(folder, ["reconstructed.csv"])
    made = [row for row in rows if row.split == "reconstructed"]
    assert len(made) == 3
    before = [row.path.stat().st_mtime_ns for row in made]
    assert detector(*command, WEIGHTS_DIR=tmp_path).exit_code == 0
    assert [row.path.stat().st_mtime_ns for row in made] == before
