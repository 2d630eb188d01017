import json
import shutil

import pytest

from shared.core.settings import REPOSITORY_ROOT
from shared.ml.errors import PackageError
from shared.ml.package import load_package, sha256_file

CHAMPION = REPOSITORY_ROOT / "models" / "champion"
ONE_NETWORK = REPOSITORY_ROOT / "models" / "0.3.1"


@pytest.fixture
def copy(tmp_path):
    target = tmp_path / "package"
    shutil.copytree(ONE_NETWORK, target)
    return target


def test_the_shipped_champion_is_whole_and_a_release_is_small():
    package = load_package(CHAMPION)
    assert set(package.members) == {"view", "tiles"}
    assert package.trunk.stem == package.manifest.trunk.file.sha256
    files = [path for path in CHAMPION.rglob("*") if path.is_file()]
    # The trunk is shared: this much travels with every release.
    assert sum(path.stat().st_size for path in files) <= 25_000_000


def test_a_package_of_one_network_is_whole():
    package = load_package(ONE_NETWORK)
    assert package.weights.is_file()
    assert package.openvino_bin.stat().st_size == package.manifest.files.openvino_bin.size_bytes
    assert sha256_file(package.openvino_xml) == package.manifest.files.openvino_xml.sha256


def test_a_missing_directory_says_what_to_set(tmp_path):
    with pytest.raises(PackageError, match="DETECTOR_MODEL_DIR"):
        load_package(tmp_path / "nowhere")


def test_a_missing_file_is_named(copy):
    (copy / "model.bin").unlink()
    with pytest.raises(PackageError, match=r"model\.bin"):
        load_package(copy)


def test_a_shortened_file_is_refused(copy):
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(PackageError, match="bytes"):
        load_package(copy)


def test_one_changed_byte_is_refused(copy):
    weights = copy / "model.bin"
    content = bytearray(weights.read_bytes())
    content[100] ^= 1
    weights.write_bytes(content)
    with pytest.raises(PackageError, match="altered"):
        load_package(copy)


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 2},
        {"unknown_field": 1},
        {"thresholds": {"real_below": 0.9, "ai_above": 0.1, "false_accusation_budget": 0.01}},
        {"calibration": {"temperature": 0, "bias": 0}},
    ],
)
def test_a_manifest_of_another_form_is_refused(copy, change):
    path = copy / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(PackageError, match="not a valid model manifest"):
        load_package(copy)


def test_a_package_may_have_been_made_before_its_photos_were_kept(copy):
    path = copy / "model.json"
    manifest = json.loads(path.read_text())
    manifest["files"].pop("evaluation_photos", None)
    path.write_text(json.dumps(manifest))
    assert load_package(copy).evaluation_photos is None


def test_a_file_entry_cannot_leave_the_directory(copy):
    path = copy / "model.json"
    manifest = json.loads(path.read_text())
    manifest["files"]["weights"]["name"] = "../model.safetensors"
    path.write_text(json.dumps(manifest))
    with pytest.raises(PackageError):
        load_package(copy)
