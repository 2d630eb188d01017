"""A finished package takes an older one's place, and its trunk that of all releases."""

import shutil

import pytest

from services.training.package.write import put_in_place
from shared.ml.errors import PackageError
from shared.ml.package import load_package
from shared.registry.digest import package_digest, package_files
from tests.support.packages import of_members, trunk_of, variant


@pytest.fixture
def finished(tmp_path):
    """A package of members as a run ends with it: its trunk lies within."""
    directory = of_members(tmp_path / "run" / "package", "2")
    shutil.move(directory.parent / "trunks", directory / "trunks")
    return directory


def test_a_package_of_members_leaves_nothing_of_the_network_before_it(finished, tmp_path):
    output = variant(tmp_path / "models" / "champion", "1")
    (output / "notes.txt").write_text("no manifest names this")
    digest = package_digest(finished)
    put_in_place(finished, output)
    package = load_package(output)
    assert package.manifest.version == "2"
    assert package.trunk == trunk_of(output)
    assert not (output / "trunks").exists()
    left = {path.name for path in package_files(output)}
    assert {"notes.txt", "view.safetensors", "tiles.safetensors"} <= left
    assert left.isdisjoint({"model.bin", "model.xml", "model.safetensors"})
    empty = tmp_path / "models" / "fresh"
    put_in_place(output, empty)
    (empty / "notes.txt").unlink()
    for folder in ("failures", "plots"):
        shutil.rmtree(empty / folder)
    (empty / "MODEL_CARD.md").unlink()
    assert package_digest(empty) == digest


def test_the_trunk_of_an_older_release_stays(finished, tmp_path):
    output = of_members(tmp_path / "models" / "champion", "1", b"an older trunk")
    before = trunk_of(output)
    put_in_place(finished, output)
    assert load_package(output).trunk == trunk_of(output) != before
    assert before.read_bytes() == b"an older trunk"


def test_a_trunk_may_be_in_its_place_already(finished, tmp_path):
    output = of_members(tmp_path / "models" / "champion", "1")
    shutil.rmtree(finished / "trunks")
    put_in_place(finished, output)
    assert load_package(output).manifest.version == "2"


def test_an_altered_or_missing_trunk_leaves_the_older_package_as_it_was(finished, tmp_path):
    output = variant(tmp_path / "models" / "champion", "1")
    digest = package_digest(output)
    (trunk,) = (finished / "trunks").iterdir()
    trunk.write_bytes(b"A trunk")
    with pytest.raises(PackageError, match="is not the trunk"):
        put_in_place(finished, output)
    assert package_digest(output) == digest
    assert list((output.parent / "trunks").iterdir()) == []
    trunk.unlink()
    with pytest.raises(PackageError, match="needs the trunk"):
        put_in_place(finished, output)
    assert package_digest(output) == digest
