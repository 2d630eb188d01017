"""`dvc repro` from a list of photos to a measured package, in a copy of the repository."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from services.training.data.sample import SampleSpec, write_sample
from shared.core.settings import REPOSITORY_ROOT
from shared.ml.package import load_package

CONFIG = {
    "resize_short": 64,
    "model": {"architecture": "test_efficientnet", "base_weights": None, "drop_rate": 0},
    "augment": {"crop": 48},
    "fit": {
        "rounds": 2,
        "samples_per_round": 48,
        "batch_size": 16,
        "learning_rate": 0.01,
        "freeze_batch_norm": True,
        "workers": 0,
        "threads": 1,
        "device": "cpu",
    },
    "calibration": {"tiers": ["clean"]},
    "evaluation": {"input_sizes": [48], "tiers": ["clean"], "bootstrap": 10},
    "package": {"version": "0.0.0-dvc", "output": "models/package"},
}
STAGES = ("fetch", "validate", "split", "train", "package", "evaluate")


def dvc(folder: Path, *arguments: str) -> str:
    """Run dvc in `folder` with this interpreter's programs and no setting from outside."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DETECTOR_")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    environment["DVC_SITE_CACHE_DIR"] = str(folder / ".dvc" / "site")
    environment["DETECTOR_DATASET_SOURCES"] = str(folder.parent / "photos")
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The code and the stages in a git repository of its own, over 21 synthetic photos."""
    folder = tmp_path / "repository"
    for name in ("services", "shared"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY_ROOT / name, folder / name, ignore=ignore)
    (folder / ".dvc").mkdir()
    for name in ("dvc.yaml", "params.yaml", ".dvcignore", ".dvc/config", ".dvc/.gitignore"):
        shutil.copy(REPOSITORY_ROOT / name, folder / name)
    write_sample(tmp_path / "photos", SampleSpec(per_group=2, side=64))
    (folder / "data").mkdir()
    shutil.copy(tmp_path / "photos" / "manifest.csv", folder / "data")
    (folder / "data" / "exclusions.csv").write_text("file,sha256,reason\n")
    (folder / "run.yaml").write_text(yaml.safe_dump(CONFIG))
    params = yaml.safe_load((folder / "params.yaml").read_text())
    package = {"version": "0.0.0-dvc", "package": "models/package"}
    params["train"] |= {"config": "run.yaml", **package}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    (folder / ".gitignore").write_text("__pycache__/\n/data/cache/\n/data/reports/\n/models/\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "Copy"]):
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        subprocess.run(["git", *identity, *command], cwd=folder, check=True)
    return folder


@pytest.mark.timeout(1300)
def test_repro_runs_every_stage_once(repository: Path) -> None:
    out = dvc(repository, "repro")
    for stage in STAGES:
        assert f"Running stage '{stage}'" in out
    package = load_package(repository / "models" / "package")
    assert package.manifest.version == "0.0.0-dvc"
    metrics = dvc(repository, "metrics", "show", "--json")
    assert '"photos": 42' in metrics
    assert "test_unseen_source" in metrics
    again = dvc(repository, "repro")
    assert "Running stage" not in again
