"""`detector data fetch --from-git` and `coverage`, over real repositories made by git."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from services.training.data.cache import sha256_of
from services.training.data.cli import app
from services.training.data.manifest import load_records, write_records
from services.training.data.sources.fetch_originals import Origin, fetch_originals
from services.training.data.sources.originals import Originals
from services.training.errors import TrainingError


@pytest.fixture
def wanted(sample):
    """A function that makes a record of a source file: its bytes, path, repository and commit."""
    template = iter(load_records(sample / "manifest.csv"))

    def make(data, path, repository="o/n", commit=None, **changes):
        url = f"https://example.org/{repository}/{commit or 'main'}/{path}"
        source = {
            "source_url": url,
            "source_repo": repository,
            "source_path": path,
            "source_sha256": sha256_of(data),
        }
        return next(template).model_copy(update=source | changes)

    return make


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A function that runs `detector data …` over the given records."""
    monkeypatch.delenv("DETECTOR_ORIGINALS_DIR", raising=False)
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(command, records, *arguments, originals=tmp_path / "originals"):
        write_records(tmp_path / "list.csv", records)
        given = [command, "--manifest", tmp_path / "list.csv", *arguments]
        settings = {"DETECTOR_ORIGINALS_DIR": str(originals)} if originals else {}
        return CliRunner().invoke(app, list(map(str, given)), env=settings)

    return invoke


def origins(records, folder, target):
    """Fetch, and return where each record's original was found, in the order of `records`."""
    found = fetch_originals(records, folder, Originals(target), lambda *_: None)
    assert len(found) == len(records)
    by_file = {entry.record.file: entry.origin for entry in found}
    return [by_file[record.file] for record in records]


def test_originals_are_found_at_any_commit_and_known_by_their_hash(repository, wanted, tmp_path):
    old = repository.commit({"a b.png": b"first", "moved.png": b"moved", "lfs.png": b"pointer"})
    repository.commit({"a b.png": b"second", "moved.png": b"replaced", "new.png": b"new"})
    repository.commit({"moved.png": b"replaced again", "gone.png": b"gone"})
    repository.commit({"gone.png": None})
    folder = repository.bare("o/n").parents[1]
    records = [
        wanted(b"first", "a b.png", commit=old),
        wanted(b"second", "a b.png", commit="1" * 40),
        wanted(b"new", "new.png"),
        wanted(b"moved", "moved.png", commit="2" * 40),
        wanted(b"replaced", "moved.png", commit=old),
        wanted(b"gone", "gone.png"),
        wanted(b"the photo", "lfs.png", commit=old),
        wanted(b"nowhere", "nowhere.png"),
        wanted(b"x", "x.png", repository="o/absent"),
        wanted(b"p", "p.png", repository="pack", source_url="pkg:pypi/pack@1.0#p.png"),
    ]
    target = tmp_path / "originals"
    assert origins(records, folder, target) == [
        *(Origin.LISTED, Origin.HEAD, Origin.HEAD),
        *(Origin.HISTORY, Origin.HISTORY, Origin.HISTORY),
        *(Origin.ALTERED, Origin.ABSENT, Origin.NO_REPOSITORY, Origin.NOT_GIT),
    ]
    kept = {path.name: path.read_bytes() for path in target.glob("??/*")}
    contents = (b"first", b"second", b"new", b"moved", b"replaced", b"gone")
    assert kept == {sha256_of(data): data for data in contents}


@pytest.mark.parametrize("place", ["o+n/repo/.git", "o+n/repo", "o+n"])
def test_each_layout_serves(repository, wanted, tmp_path, place):
    commit = repository.commit({"a.png": b"a"})
    shutil.copytree(repository.folder / ".git", tmp_path / "mirrors" / place)
    records = [wanted(b"a", "a.png", commit=commit)]
    assert origins(records, tmp_path / "mirrors", tmp_path / "originals") == [Origin.LISTED]


def test_a_second_run_takes_only_what_is_missing(repository, wanted, tmp_path):
    commit = repository.commit({"a.png": b"a", "b.png": b"b"})
    records = [wanted(b"a", "a.png", commit=commit), wanted(b"b", "b.png", commit=commit)]
    folder, target = repository.bare("o/n").parents[1], tmp_path / "originals"
    first = Originals(target)
    assert origins(records, folder, target) == [Origin.LISTED] * 2
    first.path(records[1]).write_bytes(b"")
    kept = first.path(records[0]).stat().st_mtime_ns
    assert origins(records, folder, target) == [Origin.PRESENT, Origin.LISTED]
    assert first.path(records[0]).stat().st_mtime_ns == kept
    assert first.path(records[1]).read_bytes() == b"b"
    shutil.rmtree(folder)
    assert origins(records, folder, target) == [Origin.PRESENT] * 2


def test_a_damaged_repository_does_not_end_the_run(repository, wanted, tmp_path):
    commit = repository.commit({"a.png": b"a"})
    folder = repository.bare("o/n").parents[1]
    (folder / "o+broken" / "objects").mkdir(parents=True)
    records = [
        wanted(b"x", "x.png", repository="o/broken"),
        wanted(b"a", "a.png", commit=commit),
    ]
    assert origins(records, folder, tmp_path / "originals") == [Origin.UNREADABLE, Origin.LISTED]


def test_in_a_partial_clone_what_is_there_is_found(repository, wanted, tmp_path):
    """The listed commit and a blob are missing, and the origin would hand them out."""
    old = repository.commit({"a.png": b"a"})
    repository.commit({"b.png": b"b"})
    for option in ("allowFilter", "allowAnySHA1InWant"):
        repository.git("config", f"uploadpack.{option}", "true")
    target = tmp_path / "mirrors" / "o+n"
    options = ("--bare", "--depth=1", "--filter=blob:none", f"file://{repository.folder}")
    repository.git("clone", "-q", *options, str(target))
    repository.git(f"--git-dir={target}", "cat-file", "blob", "HEAD:a.png")  # downloads it
    records = [wanted(b"a", "a.png", commit=old), wanted(b"b", "b.png", commit=old)]
    found, missing = origins(records, tmp_path / "mirrors", tmp_path / "originals")
    assert found == Origin.HEAD
    # Newer git says that the blob is missing, older git ends over it.
    assert missing in {Origin.ABSENT, Origin.UNREADABLE}


def test_a_folder_without_any_repository_is_refused(wanted, tmp_path):
    with pytest.raises(TrainingError, match=r"none of the manifest's 1 repositories.*o\+n"):
        origins([wanted(b"a", "a.png")], tmp_path, tmp_path / "originals")


def test_the_command_tells_what_it_has_and_what_is_missing(repository, wanted, run, tmp_path):
    commit = repository.commit({"a.png": b"a"})
    large, small = ({"source_width": side, "source_height": 800} for side in (500, 499))
    records = [
        wanted(b"a", "a.png", commit=commit, split="train", label="real"),
        wanted(b"b", "b.png", split="train", label="real", **small),
        wanted(b"c", "c.png", repository="o/few", split="val", label="ai_generated", **large),
        wanted(b"d", "d.png", repository="o/many", split="train", label="real", **small),
        wanted(b"e", "e.png", repository="o/many", split="train", label="real", **small),
        wanted(b"p", "p", repository="pack", split="more", source_url="pkg:npm/pack@1.0#p"),
    ]
    folder = repository.bare("o/n").parents[1]
    done = run("fetch", records, "--from-git", folder, "--json", tmp_path / "fetched.json")
    assert done.exit_code == 0, done.output
    assert "at the listed commit" in done.stdout
    assert "1 of 6 photos have their original" in done.stdout
    found = json.loads((tmp_path / "fetched.json").read_text())
    assert (found["photos"], found["originals"], found["missing_from_packages"]) == (6, 1, 1)
    assert found["splits"]["train"] == {"real": {"photos": 4, "originals": 1}}
    assert found["splits"]["val"] == {"ai_generated": {"photos": 1, "originals": 0}}
    missing = found["missing_repositories"]
    assert [entry["repository"] for entry in missing] == ["o/few", "o/many", "o/n"]
    few = {"repository": "o/few", "photos": 1, "native": 1, "real": 0, "ai_generated": 1}
    assert missing[0] == few

    told = run("coverage", records, "--json", tmp_path / "coverage.json")
    assert told.exit_code == 0, told.output
    assert json.loads((tmp_path / "coverage.json").read_text()) == found
    assert told.stdout in done.stdout


def test_excluded_photos_are_not_asked_for(repository, wanted, run, tmp_path):
    commit = repository.commit({"a.png": b"a", "b.png": b"b"})
    records = [wanted(b"a", "a.png", commit=commit), wanted(b"b", "b.png", commit=commit)]
    excluded = tmp_path / "exclusions.csv"
    excluded.write_text(f"file,sha256,reason\n{records[0].file},{records[0].sha256},a poster\n")
    options = ("--from-git", repository.bare("o/n").parents[1], "--exclusions", excluded)
    done = run("fetch", records, *options)
    assert "1 of 1 photos have their original" in done.stdout
    kept = [path.name for path in (tmp_path / "originals").glob("??/*")]
    assert kept == [sha256_of(b"b")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--from-git", ".", "--from", "."), "stored photos, not originals"),
        (("--from-git", ".", "--cache", "."), "stored photos, not originals"),
        (("--json", "x.json"), "needs --from-git"),
    ],
)
def test_options_that_do_not_go_together_are_refused(run, wanted, options, message):
    done = run("fetch", [wanted(b"a", "a.png")], *options)
    assert done.exit_code == 2
    assert message in done.stderr


@pytest.mark.parametrize("command", [("coverage",), ("fetch", "--from-git", ".")])
def test_without_the_setting_it_is_named(run, wanted, command):
    done = run(command[0], [wanted(b"a", "a.png")], *command[1:], originals=None)
    assert done.exit_code == 2
    assert "DETECTOR_ORIGINALS_DIR is not set" in done.stderr
