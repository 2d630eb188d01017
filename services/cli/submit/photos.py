"""From the paths on the command line to the photos to send."""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

# What directories are searched for; a file named outright is sent whatever it is called.
PHOTO_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".pjpeg", ".png", ".webp", ".gif", ".avif"}
)


class NoPhotos(Exception):
    """A path leads to no photo; the message says which and why."""


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """`file` is the path as the user would write it."""

    file: str

    @property
    def path(self) -> Path:
        """The same as a Path."""
        return Path(self.file)


def collect(paths: Sequence[str]) -> list[PhotoFile]:
    """Return the photos of files, directories (recursively) and glob patterns, each once.

    Raises NoPhotos for a path that does not exist or holds no photo.
    """
    found: dict[str, PhotoFile] = {}
    for path in paths:
        for file in _expand(path):
            found.setdefault(os.path.realpath(file), PhotoFile(file))
    return list(found.values())


def _expand(path: str) -> list[str]:
    if os.path.isdir(path):  # noqa: PTH112  # paths stay as the user wrote them
        files = list(_walk(path))
        if not files:
            suffixes = " ".join(sorted(PHOTO_SUFFIXES))
            raise NoPhotos(f"no photos in the directory {path} (looked for {suffixes})")
        return files
    if os.path.lexists(path):
        return [path]
    # The shell leaves a pattern alone when it is quoted, and some shells expand none.
    if glob.has_magic(path):
        matches = sorted(match for match in glob.glob(path, recursive=True))  # noqa: PTH207
        files = [file for match in matches for file in _expand_match(match)]
        if files:
            return files
        raise NoPhotos(f"no photo matches {path}")
    raise NoPhotos(f"no such file or directory: {path}")


def _expand_match(match: str) -> list[str]:
    return list(_walk(match)) if os.path.isdir(match) else [match]  # noqa: PTH112


def _walk(directory: str) -> Iterator[str]:
    """Yield the photos below, sorted; hidden files (`._photo.jpg`) and directories are passed."""
    for root, directories, files in os.walk(directory):
        directories[:] = sorted(name for name in directories if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in PHOTO_SUFFIXES:
                yield os.path.join(root, name)  # noqa: PTH118


def batches(photos: Sequence[PhotoFile], size: int) -> list[list[PhotoFile]]:
    """Return `photos` in order, in lists of at most `size`."""
    return [list(photos[start : start + size]) for start in range(0, len(photos), size)]
