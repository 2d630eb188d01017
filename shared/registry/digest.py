"""One hash for a whole package directory."""

import hashlib
from pathlib import Path

from shared.ml.package import sha256_file


def package_digest(directory: Path) -> str:
    """Return the SHA-256 over the sorted (relative path, SHA-256) of every file, lower-case hex.

    It covers the card and pictures too, which the manifest's own hashes leave out.
    """
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    lines = [f"{path.relative_to(directory).as_posix()},{sha256_file(path)}\n" for path in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
