"""Model packages for tests: the shipped one, and others made from it that differ a little."""

import json
import shutil
from pathlib import Path
from typing import Any

from shared.core.settings import REPOSITORY_ROOT
from shared.ml.package import sha256_file

SHIPPED = REPOSITORY_ROOT / "models" / "champion"


def variant(directory: Path, version: str, bias: float = 0.0) -> Path:
    """Copy the shipped package to `directory` as another version.

    `bias` is added to its calibration, so that its probabilities show which package judged.
    """
    shutil.copytree(SHIPPED, directory)
    manifest = _manifest(directory)
    manifest["version"] = version
    manifest["calibration"]["bias"] += bias
    _write(directory, manifest)
    return directory


def broken_variant(directory: Path, version: str) -> Path:
    """As `variant`, with a graph that no runtime can read and whose hash is right all the same."""
    variant(directory, version)
    (directory / "model.xml").write_text("<net>this is no network</net>")
    _write(directory, _manifest(directory))
    return directory


def with_numbers(directory: Path, **changes: float) -> Path:
    """Change numbers of every tier in a copied package's evaluation."""
    path = directory / "evaluation.json"
    report = json.loads(path.read_text())
    for tiers in report["splits"].values():
        for numbers in tiers.values():
            numbers.update(changes)
    path.write_text(json.dumps(report))
    _write(directory, _manifest(directory))
    return directory


def _manifest(directory: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((directory / "model.json").read_text())
    return content


def _write(directory: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest with the sizes and hashes that the files have now."""
    for entry in manifest["files"].values():
        path = directory / entry["name"]
        entry |= {"size_bytes": path.stat().st_size, "sha256": sha256_file(path)}
    (directory / "model.json").write_text(json.dumps(manifest))
