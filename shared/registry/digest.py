"""One hash for a whole package directory."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from shared.ml.package import TRUNKS, sha256_file


def package_files(directory: Path) -> Iterator[Path]:
    """Yield every file of a package directory, in order.

    Trunks that lie in it are left out: they are stored and moved apart from packages.
    """
    for path in sorted(directory.rglob("*")):
        if path.is_file() and path.relative_to(directory).parts[0] != TRUNKS:
            yield path


def package_digest(directory: Path) -> str:
    """Return the SHA-256 over the sorted (relative path, SHA-256) of every file, lower-case hex.

    It covers the card and pictures too, which the manifest's own hashes leave out. Of a trunk it
    covers the hash, which stands in the manifest: the digest is the same wherever the trunk lies.
    """
    lines = [
        f"{path.relative_to(directory).as_posix()},{sha256_file(path)}\n"
        for path in package_files(directory)
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
