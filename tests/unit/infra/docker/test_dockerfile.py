"""The images: what goes into them suffices, and nothing else does."""

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from shared.core.settings import REPOSITORY_ROOT
from tests.support.containers import DOCKERFILE, read_images

PROJECT = tomllib.loads((REPOSITORY_ROOT / "pyproject.toml").read_text())["project"]
IMAGES = read_images()
# Target and the extra that it installs.
EXTRA = {
    "gateway": "gateway",
    "worker-cpu": "worker-cpu",
    "worker-gpu": "worker-gpu",
    "maintenance": None,
    "webhooks": "webhooks",
    "ingest": "ingest",
    "drift": "drift",
    "ui": "ui",
    "migrate": "cli",
    "mlflow": "mlflow",
}


def test_hadolint_finds_nothing():
    program = Path(sysconfig.get_path("scripts")) / "hadolint"
    result = subprocess.run([program, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize("target", EXTRA)
def test_the_extra_of_an_image_exists_and_is_what_it_installs(target: str):
    extra = EXTRA[target]
    assert extra is None or extra in PROJECT["optional-dependencies"]
    (venv,) = (copy for copy in IMAGES[target].copies if copy.stage)
    assert (venv.stage, venv.sources) == (f"{target}-packages", ("/opt/venv",))
    what = f"'.[{extra}]'" if extra else "."
    install = IMAGES[f"{target}-packages"].values("RUN")[-1]
    assert install == f"pip install --constraint constraints.txt {what}"


def _closure(extra: str | None) -> set[str]:
    """Return the distributions that the project with `extra` needs, from installed metadata."""
    found: set[Requirement] = set()
    start = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"].get(extra, [])]
    queue = [Requirement(line) for line in start]
    while queue:
        requirement = queue.pop()
        found.add(requirement)
        environments = [{"extra": name} for name in (*requirement.extras, "")]
        try:
            needs = [Requirement(line) for line in requires(requirement.name) or []]
        except PackageNotFoundError:  # torch's CUDA libraries, beside a torch for CPUs
            continue
        queue += [
            need
            for need in needs
            if (need.marker is None or any(need.marker.evaluate(e) for e in environments))
            and need not in found
        ]
    return {canonicalize_name(requirement.name) for requirement in found}


@pytest.mark.parametrize(
    ("target", "runtimes"),
    [
        ("gateway", set()),
        ("worker-cpu", {"openvino"}),
        ("worker-gpu", {"torch"}),
        ("maintenance", set()),
        ("webhooks", set()),
        ("ingest", set()),
        ("drift", set()),
        ("ui", set()),
        ("migrate", set()),
        ("mlflow", set()),
    ],
)
def test_only_workers_carry_a_model_runtime_and_every_version_is_pinned(
    target: str, runtimes: set[str]
):
    closure = _closure(EXTRA[target])
    assert closure & {"openvino", "torch"} == runtimes
    lines = (REPOSITORY_ROOT / "constraints.txt").read_text().splitlines()
    pinned = {canonicalize_name(line.partition("==")[0]) for line in lines if "==" in line}
    # torch's own metadata pins the CUDA libraries; constraints.txt leaves out packaging tools.
    unpinned = {name for name in closure - pinned if not name.startswith(("nvidia-", "triton"))}
    assert unpinned - {"setuptools"} == set()


@pytest.mark.parametrize("target", EXTRA)
def test_images_run_unprivileged_and_say_how_they_are(target: str):
    image = IMAGES[target]
    assert image.values("USER")[-1] == "10001:10001"
    assert image.environment["PYTHONUNBUFFERED"] == "1"
    assert (image.health_command is None) == (target == "migrate")
    for part in ("models/champion", "models/trunks"):
        has_part = any(part in copy.sources for copy in image.copies)
        assert has_part == target.startswith("worker")


def test_dockerignore_lets_through_exactly_what_is_copied():
    lines = (REPOSITORY_ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        source
        for image in IMAGES.values()
        for copy in image.copies
        if copy.stage is None
        for source in copy.sources
    }
    assert "*" in lines
    assert allowed == copied
    assert [path for path in sorted(copied) if not (REPOSITORY_ROOT / path).exists()] == []


_REFUSED = "Settings are missing or wrong"


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("gateway", _REFUSED),
        ("worker-cpu", _REFUSED),
        ("worker-gpu", _REFUSED),
        ("maintenance", _REFUSED),
        ("webhooks", _REFUSED),
        ("ingest", _REFUSED),
        ("drift", _REFUSED),
        ("migrate", "no database is known"),
        ("mlflow", _REFUSED),
    ],
)
def test_a_command_runs_on_the_files_of_its_image_alone(target: str, says: str, tmp_path: Path):
    """Without settings each ends with a message, after importing all of its code."""
    IMAGES[target].lay_out(tmp_path)
    program, *arguments = IMAGES[target].command
    if program == "detector":
        arguments = ["-m", PROJECT["scripts"]["detector"].partition(":")[0], *arguments]
    # -S and no .pth file: the checkout itself is not importable.
    result = subprocess.run(
        [sys.executable, "-S", *arguments],
        cwd=tmp_path,
        env={
            "PYTHONPATH": os.pathsep.join([str(tmp_path), sysconfig.get_path("purelib")]),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, says in result.stderr) == (2, True), result.stderr


@pytest.mark.parametrize("target", ["gateway", "migrate"])
def test_who_compares_or_upgrades_the_schema_has_the_migrations(target: str, tmp_path: Path):
    IMAGES[target].lay_out(tmp_path)
    versions = {path.name for path in (REPOSITORY_ROOT / "migrations" / "versions").glob("0*.py")}
    assert versions
    assert versions <= {path.name for path in (tmp_path / "migrations" / "versions").iterdir()}


def test_the_web_ui_finds_its_modules_and_samples_in_its_image(tmp_path: Path):
    IMAGES["ui"].lay_out(tmp_path)
    page = tmp_path / IMAGES["ui"].command[-1]
    imported = {
        name
        for path in (page, *(tmp_path / "services").rglob("*.py"))
        for name in re.findall(
            r"^\s*(?:from|import) ((?:services|shared)\.[\w.]+)", path.read_text(), re.MULTILINE
        )
    }
    assert imported
    for name in imported:
        path = tmp_path / name.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").is_file(), name
    assert (tmp_path / "data" / "samples" / "samples.csv").is_file()
