"""Model packages for tests: the shipped one, and others made from it that differ a little."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from shared.core.settings import REPOSITORY_ROOT
from shared.ml.package import TRUNKS, sha256_file
from shared.ml.spec import trunk_name

# The last package of one network, kept to compare with and to roll back to.
ONE_NETWORK = REPOSITORY_ROOT / "models" / "0.3.1"


def variant(directory: Path, version: str, bias: float = 0.0) -> Path:
    """Copy the shipped package to `directory` as another version.

    `bias` is added to its calibration, so that its probabilities show which package judged.
    """
    shutil.copytree(ONE_NETWORK, directory)
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


def of_members(directory: Path, version: str, trunk: bytes = b"a trunk") -> Path:
    """Write a package of members whose networks nobody can run, with its trunk beside it.

    The trunk lies in `trunks` next to `directory`, as in the repository. All hashes are right.
    """
    directory.mkdir(parents=True)
    shutil.copy(ONE_NETWORK / "evaluation.json", directory)
    manifest = _manifest(ONE_NETWORK)
    one = manifest.pop("normalization"), manifest.pop("embedding")
    members = [_member(directory, name, version, one[0]) for name in ("view", "tiles")]
    trunks = directory.parent / TRUNKS
    trunks.mkdir(exist_ok=True)
    name = trunk_name(hashlib.sha256(trunk).hexdigest())
    (trunks / name).write_bytes(trunk)
    manifest |= {
        "schema_version": 2,
        "version": version,
        "architecture": "a&b",
        "preprocess": {"edition": 2},
        "members": members,
        "trunk": {"architecture": "a", "blocks": 1, "file": {"name": name}, "embedding": one[1]},
        "files": {"evaluation": {"name": "evaluation.json"}},
    }
    _describe(manifest["trunk"]["file"], trunks)
    _write(directory, manifest)
    return directory


def trunk_of(directory: Path) -> Path:
    """Return the trunk of a package that `of_members` made."""
    name: str = _manifest(directory)["trunk"]["file"]["name"]
    return directory.parent / TRUNKS / name


def _member(directory: Path, name: str, version: str, normalization: object) -> dict[str, Any]:
    file = directory / f"{name}.safetensors"
    file.write_bytes(f"{name} of {version}".encode())
    return {
        "name": name,
        "architecture": "a",
        "input": name,
        "normalization": normalization,
        "weight": 1.0,
        "limit": 8.0,
        "weights": _describe({"name": file.name}, directory),
    }


def _describe(entry: dict[str, Any], directory: Path) -> dict[str, Any]:
    """Add to a manifest's entry the size and hash that its file has now."""
    path = directory / entry["name"]
    entry |= {"size_bytes": path.stat().st_size, "sha256": sha256_file(path)}
    return entry


def _manifest(directory: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((directory / "model.json").read_text())
    return content


def _write(directory: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest with the sizes and hashes that the files have now."""
    for entry in manifest["files"].values():
        _describe(entry, directory)
    (directory / "model.json").write_text(json.dumps(manifest))
