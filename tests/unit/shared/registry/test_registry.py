"""Packages go into a real MLflow store and come out as they went in."""

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from shared.ml.errors import PackageError
from shared.ml.package import load_package
from shared.registry.digest import package_digest
from shared.registry.errors import PackageDamaged, RegistryError, VersionMissing
from shared.registry.mlflow_client import shown
from shared.registry.records import CHAMPION, Promotion, previous_champion
from shared.registry.registry import ModelRegistry
from tests.support.packages import ONE_NETWORK, variant


def promotion(version, previous, action="promote"):
    return Promotion(
        version=version,
        package_version=str(version),
        previous=previous,
        action=action,
        by="somebody",
        at=datetime.now(UTC),
    )


def test_a_package_comes_back_bit_for_bit(registry, tmp_path):
    version = registry.register(ONE_NETWORK)
    assert version.number == 1
    assert version.metrics["test_unseen_source.clean.auc"] > 0.5
    fetched = registry.fetch(version, tmp_path / "cache")
    assert package_digest(fetched) == package_digest(ONE_NETWORK) == version.digest
    assert load_package(fetched).manifest == load_package(ONE_NETWORK).manifest
    # A second fetch needs no registry.
    assert ModelRegistry("sqlite:///nowhere.db", "x").fetch(version, tmp_path / "cache") == fetched


def test_the_same_bytes_are_registered_once_and_others_beside_them(registry, tmp_path):
    first = registry.register(ONE_NETWORK)
    assert registry.register(ONE_NETWORK) == first
    second = registry.register(variant(tmp_path / "other", "9.9.9"))
    assert [v.package_version for v in registry.versions()] == ["9.9.9", first.package_version]
    assert registry.version(second.number).digest != first.digest


def test_an_alias_names_one_version_at_a_time(registry, tmp_path):
    assert registry.resolve(CHAMPION) is None
    first = registry.register(ONE_NETWORK)
    second = registry.register(variant(tmp_path / "other", "9.9.9"))
    for version in (first, second):
        registry.set_alias(CHAMPION, version.number)
        found = registry.resolve(CHAMPION)
        assert found is not None
        assert (found.number, found.aliases) == (version.number, (CHAMPION,))
    registry.delete_alias(CHAMPION)
    assert registry.resolve(CHAMPION) is None


def test_a_package_altered_in_the_store_is_not_handed_out(registry, tmp_path):
    version = registry.register(ONE_NETWORK)
    (card,) = (tmp_path / "mlflow" / "artifacts").rglob("MODEL_CARD.md")
    card.write_text("This model is perfect.")
    with pytest.raises(PackageDamaged, match=version.digest):
        registry.fetch(version, tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == []


def test_a_package_altered_in_the_cache_is_downloaded_again(registry, tmp_path):
    version = registry.register(ONE_NETWORK)
    fetched = registry.fetch(version, tmp_path / "cache")
    (fetched / "model.bin").write_bytes(b"")
    assert package_digest(registry.fetch(version, tmp_path / "cache")) == version.digest


def test_what_is_no_package_is_not_registered(registry, tmp_path):
    with pytest.raises(PackageError):
        registry.register(tmp_path)
    assert registry.versions() == []


def test_what_is_missing_is_said(registry, tmp_path):
    with pytest.raises(VersionMissing, match="version 7"):
        registry.version(7)
    nowhere = ModelRegistry(f"sqlite:///{tmp_path / 'none.db'}", "x")
    with pytest.raises(RegistryError, match="no model registry at"):
        nowhere.versions()
    assert not (tmp_path / "none.db").exists()


def test_a_server_that_is_away_is_a_registry_error():
    away = ModelRegistry("http://user:secret@127.0.0.1:9", "x")
    with pytest.raises(RegistryError, match="reading the aliases"):
        away.aliases()
    assert shown(away.uri) == "http://127.0.0.1:9"


def test_history_keeps_its_order(registry):
    registry.register(ONE_NETWORK)
    entries = [promotion(number, None) for number in range(5)]
    for entry in entries:
        registry.record(entry)
    assert registry.history() == entries


@pytest.mark.parametrize(
    ("history", "current", "previous"),
    [
        ([promotion(1, None)], 1, None),
        ([promotion(1, None), promotion(2, 1)], 2, 1),
        # Two rollbacks in a row go two back, not to and fro.
        (
            [promotion(1, None), promotion(2, 1), promotion(3, 2), promotion(2, 3, "rollback")],
            2,
            1,
        ),
        # After a rollback a new promotion goes on from there.
        ([promotion(1, None), promotion(2, 1), promotion(1, 2, "rollback"), promotion(3, 1)], 3, 1),
        # The process died between the entry for 2 and its alias.
        ([promotion(1, None), promotion(2, 1), promotion(3, 1)], 3, 1),
        ([promotion(1, None), promotion(2, 1)], 1, None),
        # Version 5 became champion by other means.
        ([promotion(1, None), promotion(6, 5)], 6, 5),
        ([], 4, None),
    ],
)
def test_the_champion_before(history, current, previous):
    assert previous_champion(history, current) == previous


def test_mlflow_is_imported_only_when_the_registry_is_used():
    code = (
        "import sys, services.worker.wiring, services.training.registry.cli;"
        "sys.exit('mlflow' in sys.modules or 'torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
