"""The manifest of a package of members, and where its trunk is looked for."""

import json
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from pydantic import ValidationError

from shared.ml.errors import PackageError
from shared.ml.package import load_package, sha256_file
from shared.ml.spec import Cascade, ModelManifest, OperatingPoint, StackSpec, Thresholds

NORMALIZATION = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
TRUNK = f"{sha256(b'trunk').hexdigest()}.safetensors"


def entry(path):
    return {"name": path.name, "sha256": sha256_file(path), "size_bytes": path.stat().st_size}


def member(name, path):
    return {
        "name": name,
        "architecture": "any",
        "input": name,
        "normalization": NORMALIZATION,
        "weight": 0.5,
        "limit": 10.0,
        "weights": entry(path),
    }


@pytest.fixture
def manifest(tmp_path):
    """A manifest as JSON, and its files in `package`; the trunk lies in `trunks` beside it."""
    folder, trunks = tmp_path / "package", tmp_path / "trunks"
    for each in (folder, trunks):
        each.mkdir()
    for name in ("view", "tiles", "evaluation"):
        (folder / name).write_text(name)
    (trunks / TRUNK).write_text("trunk")
    embedding = {"dim": 16, "fitted_on": "train", "photos": 9, "explained_variance": 0.5}
    content = {
        "schema_version": 2,
        "name": "n",
        "version": "1",
        "architecture": "a&b",
        "created_at": datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
        "preprocess": StackSpec().model_dump(),
        "members": [member("view", folder / "view"), member("tiles", folder / "tiles")],
        "trunk": {
            "architecture": "a",
            "blocks": 2,
            "file": entry(trunks / TRUNK),
            "embedding": embedding,
        },
        "calibration": {"temperature": 1.0, "bias": 0.0},
        "thresholds": {"real_below": 0.1, "ai_above": 0.9, "false_accusation_budget": 0.01},
        "files": {"evaluation": entry(folder / "evaluation")},
        "training": {
            "seed": 1,
            "git_revision": None,
            "data_fingerprint": "0" * 64,
            "n_train": 1,
            "n_calibration": 1,
            "base_weights": "none",
        },
    }
    (folder / "model.json").write_text(json.dumps(content))
    return content


def test_members_are_found_by_name_and_there_is_no_network(manifest, tmp_path):
    package = load_package(tmp_path / "package")
    assert package.members == {
        name: (tmp_path / "package" / name).resolve() for name in ("view", "tiles")
    }
    assert package.manifest.member("tiles").input == "tiles"
    assert package.network is None
    with pytest.raises(PackageError, match="package of members"):
        package.weights  # noqa: B018
    for name in ("one_image", "one_normalization"):
        with pytest.raises(ValueError, match="package of members"):
            getattr(package.manifest, name)


def test_the_trunk_is_in_the_package_or_beside_it_or_where_it_is_said(manifest, tmp_path):
    package, beside = tmp_path / "package", tmp_path / "trunks"
    assert load_package(package).trunk == (beside / TRUNK).resolve()
    beside.rename(package / "trunks")
    assert load_package(package).trunk == (package / "trunks" / TRUNK).resolve()
    other = tmp_path / "elsewhere"
    (package / "trunks").rename(other)
    assert load_package(package, other).trunk == other / TRUNK
    with pytest.raises(PackageError, match=rf"needs the trunk {TRUNK}.*trunks and .*trunks"):
        load_package(package)


def test_a_given_folder_is_the_only_one_looked_in(manifest, tmp_path):
    with pytest.raises(PackageError, match="which is not in"):
        load_package(tmp_path / "package", tmp_path / "package")


@pytest.mark.parametrize(("content", "message"), [("trunc", "altered"), ("tru", "bytes")])
def test_another_trunk_of_that_name_is_refused(manifest, tmp_path, content, message):
    (tmp_path / "trunks" / TRUNK).write_text(content)
    with pytest.raises(PackageError, match=message):
        load_package(tmp_path / "package")


def test_an_altered_member_is_refused(manifest, tmp_path):
    (tmp_path / "package" / "tiles").write_text("tilts")
    with pytest.raises(PackageError, match="tiles was altered"):
        load_package(tmp_path / "package")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trunk": None}, "needs a trunk"),
        ({"preprocess": {"resize_short": 9, "height": 9, "width": 9}}, "view with tiles"),
        ({"schema_version": 1}, "schema 1 is one network"),
        ({"members": []}, "schema 2 is members"),
        ({"members": [], "schema_version": 1}, "needs its files"),
    ],
)
def test_forms_are_not_mixed(manifest, change, message):
    with pytest.raises(ValidationError, match=message):
        ModelManifest.model_validate(manifest | change)


def test_each_member_is_there_once(manifest):
    for members in (manifest["members"][:1], [manifest["members"][0]] * 2, manifest["members"] * 2):
        with pytest.raises(ValidationError, match="each once"):
            ModelManifest.model_validate(manifest | {"members": members})


@pytest.mark.parametrize("change", [{"limit": 0}, {"precisions": []}, {"input": "photo"}])
def test_a_member_that_means_nothing_is_refused(manifest, change):
    members = [manifest["members"][0] | change, manifest["members"][1]]
    with pytest.raises(ValidationError, match=next(iter(change))):
        ModelManifest.model_validate(manifest | {"members": members})


def test_a_network_has_no_members(manifest):
    plain = ModelManifest.model_validate(manifest).model_copy(update={"members": ()})
    with pytest.raises(ValueError, match="no member view"):
        plain.member("view")


def test_a_cascade_is_in_order():
    rest = {"slope": 1, "intercept": 0, "share": 0.5}
    assert Cascade(below=-1, above=1, **rest).share == 0.5
    with pytest.raises(ValidationError, match="must not be larger"):
        Cascade(below=1, above=-1, **rest)


@pytest.mark.parametrize(("bound", "holds"), [(None, False), (0.01, True), (0.0101, False)])
def test_a_budget_is_guaranteed_only_by_its_bound(bound, holds):
    thresholds = Thresholds(real_below=0.1, ai_above=0.9, false_accusation_budget=0.01)
    assert OperatingPoint(thresholds=thresholds, bound=bound).guaranteed is holds
