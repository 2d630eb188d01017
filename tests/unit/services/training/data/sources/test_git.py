"""Against real repositories, made by git in a temporary folder."""

from contextlib import suppress

import pytest

from services.training.data.sources.git import GitSource, find_git_dir
from services.training.data.sources.http import SourceError


def blob_id(repository, name):
    return repository.git("rev-parse", name)


@pytest.mark.parametrize(
    "place", ["a+b.c/repo/.git", "a+b.c/repo", "a+b.c/.git", "a+b.c"], ids=lambda place: place
)
def test_a_repository_is_found_under_each_name(tmp_path, place):
    (tmp_path / place / "objects").mkdir(parents=True)
    assert find_git_dir(tmp_path, "a/b.c") == tmp_path / place
    assert find_git_dir(tmp_path, "a/other") is None


@pytest.mark.parametrize("name", ["a/..", "../a", "a", "a/b/c", "", "-a/b"])
def test_odd_names_lead_nowhere(tmp_path, name):
    (tmp_path / "objects").mkdir()
    (tmp_path / name.replace("/", "+") / "objects").mkdir(parents=True, exist_ok=True)
    assert find_git_dir(tmp_path, name) is None


def test_blobs_of_all_kinds_are_read_by_one_process(repository):
    large = bytes(range(256)) * 4096
    commit = repository.commit({"a b/ü.png": large, "empty": b"", "lines": b"\n\nx missing\n"})
    with GitSource(repository.bare("o/n")) as source:
        assert source.read("HEAD:lines") == b"\n\nx missing\n"
        process = source._process
        assert source.read(f"{commit}:a b/ü.png") == large
        assert source.read("HEAD:empty") == b""
        assert source.read("HEAD:no such file") is None
        assert source.read(f"{'1' * 40}:lines") is None
        assert source.read("HEAD:a b") is None, "a folder"
        assert source.read("HEAD:lines\nHEAD:lines") is None
        assert source.read("HEAD:lines") == b"\n\nx missing\n"
        assert source._process is process
    assert process.returncode is not None


def test_large_blobs_are_passed_over(repository, monkeypatch):
    monkeypatch.setattr("services.training.data.sources.git._MAX_BYTES", 2**21)
    repository.commit({"large": bytes(2**21 + 7), "small": b"small"})
    with GitSource(repository.bare("o/n")) as source:
        assert source.read("HEAD:large") is None
        assert source.read("HEAD:small") == b"small"


def test_the_history_names_every_version_of_a_path(repository):
    repository.commit({"x": b"1", "[y]": b"other", "y": b"not asked for"})
    first = blob_id(repository, "HEAD:x")
    repository.commit({"x": b"2"})
    second = blob_id(repository, "HEAD:x")
    repository.commit({"x": None})
    with GitSource(repository.bare("o/n")) as source:
        versions = source.versions(["x", "[y]", "never"])
    assert versions == {"x": [second, first], "[y]": [blob_id(repository, "HEAD:[y]")]}


def test_no_more_than_fifty_versions_are_looked_at(repository):
    for number in range(53):
        repository.commit({"x": str(number).encode()})
    newest = blob_id(repository, "HEAD:x")
    with GitSource(repository.bare("o/n")) as source:
        (versions,) = source.versions(["x"]).values()
    assert len(versions) == 50
    assert versions[0] == newest


def test_a_version_on_another_branch_is_found(repository):
    repository.commit({"x": b"1"})
    repository.git("checkout", "-q", "-b", "aside")
    repository.commit({"x": b"aside"})
    aside = blob_id(repository, "HEAD:x")
    repository.git("checkout", "-q", "-")
    repository.commit({"x": b"2"})
    with GitSource(repository.bare("o/n")) as source:
        assert aside in source.versions(["x"])["x"]


def test_what_is_no_repository_is_told(tmp_path):
    (tmp_path / "objects").mkdir()
    with GitSource(tmp_path) as source:
        for _ in range(2):
            with pytest.raises(SourceError, match="git cannot read"):
                source.read("HEAD:x")
        assert source.versions(["x"]) == {}


def test_a_partial_clone_downloads_nothing(repository, tmp_path):
    """Its origin is there and would hand out the blob: it must not be asked."""
    repository.commit({"x": b"content"})
    repository.git("config", "uploadpack.allowFilter", "true")
    repository.git("config", "uploadpack.allowAnySHA1InWant", "true")
    clone = tmp_path / "partial"
    options = ("--bare", "--filter=blob:none", f"file://{repository.folder}")
    repository.git("clone", "-q", *options, str(clone))
    with GitSource(clone) as source:
        for _ in range(2):
            # Older git ends, newer git says that the blob is missing.
            with suppress(SourceError):
                assert source.read("HEAD:x") is None
        assert source.versions(["x"]) == {"x": [blob_id(repository, "HEAD:x")]}
    repository.git(f"--git-dir={clone}", "cat-file", "blob", "HEAD:x")  # downloads it
    with GitSource(clone) as source:
        assert source.read("HEAD:x") == b"content"


def test_settings_of_a_surrounding_git_command_do_not_lead_astray(repository, monkeypatch):
    repository.commit({"x": b"content"})
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", "/nowhere")
    with GitSource(repository.folder / ".git") as source:
        assert source.read("HEAD:x") == b"content"
