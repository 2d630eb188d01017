import io
import json
import shutil
import tarfile

import pytest

from services.training.data.sources.http import SourceError
from services.training.data.sources.packages import Package, download, parse_purl, read_members


@pytest.mark.parametrize(
    ("url", "package", "member"),
    [
        ("pkg:pypi/some-photos@1.0#a/b c.jpg", Package("pypi", "some-photos", "1.0"), "a/b c.jpg"),
        ("pkg:npm/%40scope/x@2.1.0#i.png", Package("npm", "@scope/x", "2.1.0"), "i.png"),
        ("pkg:npm/@scope/x@2.1.0#i.png", Package("npm", "@scope/x", "2.1.0"), "i.png"),
        (
            "pkg:pypi/x@1?file_name=x-1-cp38-cp38-any.whl#i.png",
            Package("pypi", "x", "1", "x-1-cp38-cp38-any.whl"),
            "i.png",
        ),
    ],
)
def test_a_package_url_names_package_and_member(url, package, member):
    assert parse_purl(url) == (package, member)


@pytest.mark.parametrize(
    "url", ["pkg:gem/x@1#a", "pkg:pypi/x@1", "pkg:pypi/--index-url@1#a", "pkg:npm/x@--y#a"]
)
def test_other_urls_and_options_in_disguise_are_refused(url):
    with pytest.raises(SourceError):
        parse_purl(url)


@pytest.mark.parametrize("tags", ["py3-none-any", "cp38-cp38-manylinux1_x86_64"])
def test_pip_downloads_a_wheel_and_its_photos_are_read(tmp_path, make_wheel, tags):
    """Also a wheel of another Python than this one."""
    wheel = make_wheel({"some_photos/a.jpg": b"photo"}, tags)
    target = tmp_path / "target"
    target.mkdir()
    name = "" if tags.endswith("-any") else wheel.name
    archive = download(Package("pypi", "some-photos", "1.0", name), target)
    found = read_members(archive, ["some_photos/a.jpg", "some_photos/b.jpg"])
    assert found["some_photos/a.jpg"] == b"photo"
    assert isinstance(found["some_photos/b.jpg"], SourceError)


def test_a_package_that_is_not_there_is_told_with_pips_own_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(SourceError, match=r"some-photos==1.0: .*No matching distribution"):
        download(Package("pypi", "some-photos", "1.0"), tmp_path)


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_npm_reports_what_it_cannot_find(tmp_path, monkeypatch):
    """The registry is a closed port of this machine: npm fails and its word is passed on."""
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    with pytest.raises(SourceError, match=r"some-photos@1.0.0: "):
        download(Package("npm", "some-photos", "1.0.0"), tmp_path)


def test_members_of_an_npm_archive_may_leave_out_its_folder(tmp_path):
    archive = tmp_path / "some-photos-1.0.0.tgz"
    with tarfile.open(archive, "w:gz") as packed:
        for name, data in {"package/a.jpg": b"photo", "package/package.json": b"{}"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
    found = read_members(archive, ["a.jpg", "package/package.json", "b.jpg"])
    assert found["a.jpg"] == b"photo"
    assert json.loads(found["package/package.json"]) == {}
    assert isinstance(found["b.jpg"], SourceError)


@pytest.mark.parametrize("name", ["x.whl", "x.tgz"])
def test_a_broken_archive_is_told(tmp_path, name):
    (tmp_path / name).write_bytes(b"not an archive")
    with pytest.raises(SourceError, match="broken"):
        read_members(tmp_path / name, ["a.jpg"])
