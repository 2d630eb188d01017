import json
import os
from pathlib import Path
from typing import NamedTuple

import pytest

from services.cli.doctor import machine
from services.cli.doctor.result import Level


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.parametrize(
    ("version", "level"), [((3, 10, 9), Level.FAIL), ((3, 11, 0), Level.OK), ((3, 14, 1), Level.OK)]
)
def test_the_oldest_python_is_3_11(version: tuple[int, ...], level: Level) -> None:
    assert machine.python(version).level is level


@pytest.mark.parametrize(
    ("free", "level"), [(2**28, Level.FAIL), (2**31, Level.WARN), (2**40, Level.OK)]
)
def test_little_space_warns_and_none_fails(
    free: int, level: Level, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[Path] = []

    def usage(path: Path) -> Usage:
        asked.append(path)
        return Usage(2**41, 0, free)

    monkeypatch.setattr(machine.shutil, "disk_usage", usage)
    finding = machine.disk(tmp_path / "not" / "made" / "yet")
    assert finding.level is level
    assert asked == [tmp_path]
    assert bool(finding.mend) is (level is not Level.OK)


def test_an_installed_runtime_is_named_with_its_version() -> None:
    finding = machine.engine()
    assert finding.level is Level.OK
    assert finding.detail.split()[0] in {"openvino", "torch"}


def test_a_missing_model_package_fails_with_what_to_do(tmp_path: Path) -> None:
    finding = machine.model({"DETECTOR_MODEL_DIR": str(tmp_path)})
    assert finding.level is Level.FAIL
    assert str(tmp_path) in finding.detail
    assert "DETECTOR_MODEL_DIR" in finding.mend


def test_a_damaged_manifest_fails(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(json.dumps({"version": os.urandom(4).hex()}))
    assert machine.model({"DETECTOR_MODEL_DIR": str(tmp_path)}).level is Level.FAIL
